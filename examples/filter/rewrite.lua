--- What becomes of one line of the input: its new text, or nil to leave it out.
local function rewrite(line, conf)
  if line:find "^%s*#" then return nil end
  return (line:gsub("[%w._-]+@[%w.-]+%w", conf["filter.mask"]))
end

return rewrite
