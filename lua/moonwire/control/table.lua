--- Text in columns, for people at a terminal. Not for scripts.
local columns = {}

local GAP <const> = "  "

---@class moonwire.control.column
---@field [1] string its title
---@field right? boolean numbers, which end where the others end

--- What may be shown: whatever comes from elsewhere must not move the cursor.
---@param text string
---@return string
function columns.printable(text)
  text = utf8.len(text) and text or text:gsub("[\128-\255]", "?")
  return (text:gsub("\194[\128-\159]", "?"):gsub("%c", "?"))
end

local function width_of(text)
  return utf8.len(text) or #text
end

local function pad(text, width, right)
  local space = (" "):rep(width - width_of(text))
  return right and space .. text or text .. space
end

--- The first characters of a line, as many as there is room for.
---@param line string
---@param width integer
---@return string
function columns.cut(line, width)
  local stop = utf8.offset(line, width + 1)
  return stop and line:sub(1, stop - 1) or line
end

local function line_of(list, cells, widths)
  local parts = {}
  for i, column in ipairs(list) do
    parts[i] = pad(cells[i], widths[i], column.right)
  end
  return (table.concat(parts, GAP):gsub(" +$", ""))
end

--- A line of titles, and one for each row.
---@param list moonwire.control.column[]
---@param rows any[][] as many cells as columns; nil and false are shown as "-"
---@return string[] lines
function columns.format(list, rows)
  local titles, texts, widths = {}, {}, {}
  for i, column in ipairs(list) do
    titles[i], widths[i] = column[1], width_of(column[1])
  end
  for number, row in ipairs(rows) do
    local cells = {}
    for i = 1, #list do
      cells[i] = columns.printable(tostring(row[i] or "-"))
      widths[i] = math.max(widths[i], width_of(cells[i]))
    end
    texts[number] = cells
  end
  local lines = { line_of(list, titles, widths) }
  for number, cells in ipairs(texts) do
    lines[number + 1] = line_of(list, cells, widths)
  end
  return lines
end

return columns
