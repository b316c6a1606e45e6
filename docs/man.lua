-- man.lua FROM.md TO NAME SECTION "what it is" -- a page of the documentation as a manual page.
-- Knows the Markdown that docs/ is written in: headings, paragraphs, lists, tables, code.
local from, to, name, section, what = unpack(arg)

local function escape(text)
  text = text:gsub("\\", "\\e"):gsub("%-", "\\-")
  return (text:gsub("^([.'])", "\\&%1"))
end

-- Code and stress become bold, links lose their target.
local function inline(text)
  text = text:gsub("%[([^%]]+)%]%([^)]*%)", "%1")
  text = escape(text)
  text = text:gsub("%*%*(.-)%*%*", "\\fB%1\\fR"):gsub("`([^`]+)`", "\\fB%1\\fR")
  return (text:gsub("^([.'])", "\\&%1"))
end

local out = {
  ([[.TH "%s" %s "" "Tiny" "Tiny"]]):format(name:upper(), section),
  ".SH NAME", escape(name) .. " \\- " .. what,
}
local function put(...)
  for _, line in ipairs { ... } do out[#out + 1] = line end
end

local function cells(line)
  local list = {}
  for cell in (line:gsub("\\|", "\1"):match("^|(.*)|%s*$") .. "|"):gmatch("(.-)|") do
    list[#list + 1] = (cell:gsub("\1", "|"):match("^%s*(.-)%s*$"))
  end
  return list
end

-- A row is an item: its first cells name it, the last one explains.
local function row(line)
  local list = cells(line)
  local last = table.remove(list)
  local head = {}
  for _, cell in ipairs(list) do
    if cell ~= "" then head[#head + 1] = inline(cell) end
  end
  put(".TP", table.concat(head, ", "), inline(last))
end

local kinds = {
  {"^# ", function() put(".SH DESCRIPTION") end},
  {"^##+ (.*)", function(title) put(".SH " .. inline(title):upper()) end},
  {"^|[-|]+$", function() out.rows = true end},
  {"^|", function(_, line) if out.rows then row(line) end end},
  {"^%- (.*)", function(text) put(".IP \\(bu 2", inline(text)) end},
  {"^%s*$", function() put(".PP") out.rows = nil end},
  {"^  (.*)", function(text) put(inline(text)) end},
  {"", function(_, line) put(inline(line)) end},
}

local code = false
for line in io.lines(from) do
  if line:match("^```") then
    code = not code
    put(code and ".nf" or ".fi")
  elseif code then
    put((escape(line)))
  else
    for _, kind in ipairs(kinds) do
      local text = line:match(kind[1])
      if text then
        kind[2](text, line)
        break
      end
    end
  end
end
put(".SH SEE ALSO", name == "tiny" and "\\fBconf.lua\\fR(5)" or "\\fBtiny\\fR(1)")

local file = assert(io.open(to, "w"))
file:write(table.concat(out, "\n"), "\n")
assert(file:close())
