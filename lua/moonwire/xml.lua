--- XML over Expat: small documents to tables and back, and events of a stream.
--- Document type declarations are refused, and with them all entities but the
--- five of XML itself and characters by number: a document can neither grow nor
--- reach for files.
local Parser = require "moonwire.xml.parser"
local check = require "moonwire.check"
local core = require "moonwire.core"
local writer = require "moonwire.xml.writer"

local xml = {}

local PARSE_MAX <const> = 1024 * 1024
local PIECE <const> = 16384 -- bytes whose events are in memory at a time
local KNOWN <const> = {
  max = "integer", depth = "integer", attributes = "integer", text = "integer", doctype = "boolean",
  namespaces = "boolean",
}

---@class moonwire.xml_element
---@field [integer] moonwire.xml_element|string what is within, in its order
---@field name string
---@field attributes table<string, string>

---@class moonwire.xml_options
---@field max? integer bytes of the document at most; default 1048576, for events no limit
---@field depth? integer elements within each other at most; default 128
---@field attributes? integer attributes of an element at most; default 128
---@field text? integer bytes of a tag, or of a text without elements in it, at most; default 65536
--- A document type declaration without entities is skipped; default false: it is refused.
---@field doctype? boolean
--- Names are "{namespace}name" instead of "prefix:name" as they are written; default false.
---@field namespaces? boolean

-- Puts what events tell into the innermost of the elements that are open; the document is the outermost.
local function build(open, events)
  for _, event in ipairs(events) do
    local kind, parent = event[1], open[#open]
    if kind == "end" then
      open[#open] = nil
    elseif kind == "text" then
      parent[#parent + 1] = event[2]
    else
      local element = { name = event[2], attributes = event[3] }
      parent[#parent + 1] = element
      open[#open + 1] = element
    end
  end
end

--- Reads a document. Each element is a table; comments and processing
--- instructions are left out, white space stays.
---@param text string
---@param options? moonwire.xml_options
---@return moonwire.xml_element? root
---@return string? err with line and column
---@return moonwire.code? code "invalid"; "too_large": above one of the limits
---@return integer? place of the byte that is wrong, from 1
function xml.parse(text, options)
  check.type(text, "string", 1, "parse")
  check.options(options, KNOWN, 2, "parse")
  local parser <close> = Parser.new(options or {}, PARSE_MAX)
  local document = {}
  local open = { document }
  for at = 1, math.max(#text, 1), PIECE do
    local events, err, code, place = parser:feed(text:sub(at, at + PIECE - 1), at + PIECE > #text)
    if not events then
      return nil, err, code, place
    end
    build(open, events)
  end
  return document[1]
end

--- Iterates over what a stream says in XML: `"start", name, attributes`,
--- `"text", text` and `"end", name`. Ends behind the root element. A fault is raised.
---@param conn moonwire.stream
---@param options? moonwire.xml_options
---@return fun(): "start"|"text"|"end", string, table<string, string>?
function xml.events(conn, options)
  check.stream(conn, 1, "events")
  check.options(options, KNOWN, 2, "events")
  local parser = Parser.new(options or {}, math.maxinteger)
  local events, at = {}, 1
  return function()
    while not events[at] do
      if parser.complete then
        parser:close()
        return nil
      end
      local bytes, err, code = conn:read_some()
      if bytes then
        events, err, code = parser:feed(bytes, false)
      end
      if not bytes or not events then
        events = {}
        error(core.fault(code, err), 0)
      end
      at = 1
    end
    local event = events[at]
    at = at + 1
    return event[1], event[2], event[3]
  end
end

--- Writes an element, as parse gives it without namespaces: names are written
--- as they are. Attributes come in the order of their names. `attributes` may be
--- left out, and texts may be numbers. Raises for what XML has not.
---@param element moonwire.xml_element
---@return string text
function xml.encode(element)
  check.type(element, "table", 1, "encode")
  local text, problem = writer.write(element)
  if not text then
    check.refuse(1, "encode", problem)
  end
  return text
end

return xml
