-- SPDX-License-Identifier: MIT
-- nearest.lua -- the known word that a mistyped one was most likely meant to be.

-- Levenshtein distance of two strings, in edits of one byte.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local corner = row[0]
    row[0] = i
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j) and 0 or 1
      corner, row[j] = row[j], math.min(row[j] + 1, row[j - 1] + 1, corner + same)
    end
  end
  return row[#b]
end

-- The key of table `known` nearest to `word` and its distance, or nil when `known` is empty.
-- Of equally near ones the first in alphabetical order, so that messages do not vary.
return function(word, known)
  local best, least
  for candidate in pairs(known) do
    local d = distance(word, candidate)
    if not least or d < least or (d == least and candidate < best) then best, least = candidate, d end
  end
  return best, least
end
