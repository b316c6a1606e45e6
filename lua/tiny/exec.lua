--- Other programs.
local core = require "tiny.core.exec"
local problem_of = require "tiny.options"
local runtime = require "tiny.core.runtime"
local task = require "tiny.task"

local function check(ok, message)
  if not ok then error("tiny.exec: " .. message, 3) end
end

local function is_strings(list)
  for _, text in ipairs(list) do
    if type(text) ~= "string" or text:find("\0", 1, true) then return false end
  end
  return true
end

-- Our own environment with the names in `changes` set, or taken away where the value is false.
local function environment(changes)
  local list = {}
  for _, line in ipairs(core.environ()) do
    if changes[line:match("^[^=]*")] == nil then list[#list + 1] = line end
  end
  for name, value in pairs(changes) do
    if value then list[#list + 1] = name .. "=" .. tostring(value) end
  end
  return list
end

local kinds = { stdin = "string", timeout = "positive", cwd = "string", env = "table", limit = "positive" }

---@class tiny.Exec
---@field stdin? string    what it reads; nothing unless given
---@field timeout? number  seconds; then it is killed, with all that it started
---@field cwd? string      its folder
---@field env? table<string, string|false>  what differs from our own environment
---@field limit? integer   bytes of stdout and of stderr, each: 16 MB. A program that writes more is killed

--- Run a program to its end: its exit code (128 + n when signal n ended it), stdout and stderr. No shell
--- is in between: { "sh", "-c", "..." } asks for one. A cancelled task has its program killed.
---@param argv string[]
---@param opts? tiny.Exec
---@return integer? code, string stdout_or_message, string? stderr_or_name
return function(argv, opts)
  runtime.acting("tiny.exec")
  opts = opts or {}
  local fits = type(argv) == "table" and #argv > 0 and is_strings(argv)
  check(fits, 'a list of strings is expected: { "cmd", "arg" }')
  local problem = problem_of(opts, kinds)
  check(not problem, problem)
  local deadline = opts.timeout and runtime.now() + opts.timeout
  local envp = opts.env and environment(opts.env)
  local child, code = core.start(argv, envp, opts.cwd, opts.stdin or "", opts.limit or 16 * 2 ^ 20)
  if child then return task.wait(core.wait, child, deadline) end
  local message, name = task.failure(code)
  local where = opts.cwd and (" in %s"):format(opts.cwd) or ""
  return nil, ("%s%s: %s"):format(argv[1], where, message), name
end
