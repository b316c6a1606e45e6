-- bytecode.lua -- LuaJIT's string.dump, made to give the same bytes in every run. Constant tables are
-- written in the order of their hash parts, which hangs on a seed that is random in each process: here
-- they are sorted. What a reader makes of them is the same.
--
-- Of a dump (lj_bcdump.h): ESC "LJ" version flags [name], then prototypes, each with its size before it.
local bytecode = {}

local TABLE, TEXT = 1, 5 -- kinds of constants; from TEXT on, the kind is the length plus 5

-- The number in 7-bit groups at `at`, and the place behind it.
local function number(code, at)
  local value, factor = 0, 1
  repeat
    local byte = code:byte(at)
    value, factor, at = value + byte % 128 * factor, factor * 128, at + 1
  until byte < 128
  return value, at
end

-- The place behind `count` numbers.
local function skip(code, at, count)
  for _ = 1, count do at = select(2, number(code, at)) end
  return at
end

-- The place behind a key or value of a constant table: nil, false, true, an integer, a number, a text.
local function skip_item(code, at)
  local kind
  kind, at = number(code, at)
  if kind >= TEXT then return at + kind - TEXT end
  return skip(code, at, ({[3] = 1, [4] = 2})[kind] or 0)
end

-- A constant table from `at` on -> its bytes, sorted, and the place behind it.
local function sorted_table(code, at)
  local from, pairs_ = at, {}
  local arrays, hashes
  arrays, at = number(code, at)
  hashes, at = number(code, at)
  for _ = 1, arrays do at = skip_item(code, at) end
  local head = code:sub(from, at - 1)
  for i = 1, hashes do
    local behind = skip_item(code, skip_item(code, at))
    pairs_[i], at = code:sub(at, behind - 1), behind
  end
  table.sort(pairs_)
  return head .. table.concat(pairs_), at
end

-- One prototype, without its size.
local function sorted_prototype(code)
  local uvs, at = code:byte(4), 5
  local constants, instructions, debug_size
  constants, at = number(code, at)
  at = skip(code, at, 1)
  instructions, at = number(code, at)
  debug_size, at = number(code, at)
  if debug_size > 0 then at = skip(code, at, 2) end
  at = at + instructions * 4 + uvs * 2
  local parts = {code:sub(1, at - 1)}
  for _ = 1, constants do
    local from = at
    local kind
    kind, at = number(code, at)
    if kind == TABLE then
      parts[#parts + 1] = "\1"
      parts[#parts + 1], at = sorted_table(code, at)
    else
      at = kind >= TEXT and at + kind - TEXT or skip(code, at, ({[2] = 2, [3] = 2, [4] = 4})[kind] or 0)
      parts[#parts + 1] = code:sub(from, at - 1)
    end
  end
  parts[#parts + 1] = code:sub(at)
  return table.concat(parts)
end

--- string.dump(fn), debug information included.
function bytecode.dump(fn)
  local code = string.dump(fn)
  assert(code:sub(1, 4) == "\27LJ\2", "another LuaJIT's bytecode: runtime/vm/bytecode.lua does not know it")
  local name_size, at = number(code, 6)
  at = at + name_size
  local parts = {code:sub(1, at - 1)}
  while true do
    local size, from = number(code, at)
    parts[#parts + 1] = code:sub(at, from - 1)
    if size == 0 then break end
    parts[#parts + 1] = sorted_prototype(code:sub(from, from + size - 1))
    at = from + size
  end
  local result = table.concat(parts)
  assert(#result == #code and loadstring(result), "bytecode could not be put in order")
  return result
end

return bytecode
