-- The end of a message: CRLF.CRLF and nothing else, however it is cut.
local dots = require "moonwire.smtp.dots"

-- The message, what is left behind its end (nil: it has not ended), and whether it is bad; cut into pieces.
local function read(text, size)
  local reader, parts = dots.new(1000), {}
  for at = 1, #text, size do
    local data, used = reader:feed(text:sub(at, at + size - 1))
    parts[#parts + 1] = data
    if used then
      return table.concat(parts), text:sub(at + used), reader.is_bare
    end
  end
  return table.concat(parts), nil, reader.is_bare
end

-- Every size of pieces says the same.
local function expect(text, message, rest, is_bare)
  for size = 1, #text do
    local got, left, bare = read(text, size)
    assert.are.same({ message, rest, is_bare }, { got, left, bare }, ("%q by %d"):format(text, size))
  end
end

describe("the data of a message", function()
  it("ends with CRLF.CRLF, and what comes behind is not touched", function()
    expect("a\r\n.\r\nQUIT\r\n", "a\r\n", "QUIT\r\n", false)
    expect(".\r\nRSET\r\n", "", "RSET\r\n", false)
    expect("a\r\n\r\n.\r\n.\r\n", "a\r\n\r\n", ".\r\n", false)
  end)

  it("has a dot less where a line begins with one", function()
    expect("..\r\n.a\r\na.\r\n...\r\n.\r\n", ".\r\na\r\na.\r\n..\r\n", "", false)
  end)

  local MARKS <const> = {
    "\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r",
    "\n.\r", "\r.\n", "\r\r\n.\r\r\n", "\r\n.\r\r\n",
    "\n\n.\r\n", "\r\n\0.\r\n", "\r\n.\0\r\n", "\r\n. \r\n", "\r\n .\r\n", "\n\r.\r\n", "\r\n.\n\r\n",
    "\0\r\n.\n",
    "\r\n\r.\r\n", "\n\r\n.\n", "\r\n.\n.\r", "\r\n\x85.\r\n",
  }

  for _, mark in ipairs(MARKS) do
    it(("does not end with %q"):format(mark), function()
      for size = 1, 8 do
        local text = "a" .. mark .. "MAIL FROM:<eve@x>\r\n.\r\n"
        local message, rest = read(text, size)
        assert.are.equal("", rest)
        assert.is_truthy(message:find("MAIL FROM:<eve@x>", 1, true))
      end
    end)
  end

  it("is bad when a CR or LF stands alone", function()
    for _, text in ipairs { "a\nb\r\n.\r\n", "a\rb\r\n.\r\n", "\n\r\n.\r\n", "\r\r\n.\r\n", ".\rb\r\n.\r\n",
      ".\n\r\n.\r\n" } do
      for size = 1, #text do
        assert.is_true(select(3, read(text, size)), ("%q"):format(text))
      end
    end
  end)

  it("knows lines that are too long", function()
    local reader = dots.new(10)
    reader:feed("0123456789\r\n01234")
    assert.is_false(reader.is_long)
    reader:feed("567890")
    assert.is_true(reader.is_long)
  end)

  it("takes time in proportion when it is bad all over", function()
    local reader = dots.new(1000)
    reader:feed(("\n"):rep(1 << 20))
    assert.is_true(reader.is_bare)
  end)
end)
