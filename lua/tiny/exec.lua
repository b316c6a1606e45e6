--- Other programs.
local core = require "tiny.core.exec"
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

local known = { stdin = "string", timeout = "number", cwd = "string", env = "table", limit = "number" }

local function problem_of(opts)
  for name, value in pairs(opts) do
    local kind = known[name]
    if not kind then return "unknown option " .. tostring(name) end
    if type(value) ~= kind then return ("%s is a %s"):format(name, kind) end
  end
end

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
  local problem = problem_of(opts)
  check(not problem, problem)
  check(not opts.timeout or opts.timeout > 0, "timeout is seconds above 0")
  local deadline = opts.timeout and runtime.now() + opts.timeout
  local envp = opts.env and environment(opts.env)
  local child, code = core.start(argv, envp, opts.cwd, opts.stdin or "", opts.limit or 16 * 2 ^ 20)
  if child then return task.wait(core.wait, child, deadline) end
  local message, name = task.failure(code)
  return nil, argv[1] .. ": " .. message, name
end
