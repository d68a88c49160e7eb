-- examples/calculator.lua — a grammar in LPeg: sums with names, and mistakes are shown where they are.
--
--   build/moonwire run examples/calculator.lua --listen tcp://127.0.0.1:7008
-- In another terminal; try "x = 2 ^ 10", then "(x - 24) / 3 * -1", then "2 * (3 +" (Enter ends nc).
--   nc 127.0.0.1 7008
local lpeg = require "lpeg" -- the Debian package lua-lpeg

local P, R, S, V, C, Cc, Cmt = lpeg.P, lpeg.R, lpeg.S, lpeg.V, lpeg.C, lpeg.Cc, lpeg.Cmt

local operations = {
  ["+"] = function(a, b) return a + b end, ["-"] = function(a, b) return a - b end,
  ["*"] = function(a, b) return a * b end, ["/"] = function(a, b) return a / b end,
}

-- "a - b - c" is "(a - b) - c".
local function from_left(value, operation, operand, ...)
  if operation then
    return from_left(operations[operation](value, operand), ...)
  end
  return value
end

local blank = S " \t" ^ 0
local number = R "09" ^ 1 * (P "." * R "09" ^ 1) ^ -1 / tonumber * blank
local name = C(R("az", "AZ") * R("az", "AZ", "09") ^ 0) * blank

-- A reader of lines for one client, whose names have their values in `values`.
local function reader(values)
  local furthest -- how far any way through the grammar came: there the mistake is
  local here = Cmt(true, function(_, at) furthest = math.max(furthest, at) return true end)
  local known = Cmt(name, function(_, _, text) return values[text] ~= nil, values[text] end)
  local line = P {
    "line",
    line = blank * (name * P "=" * blank + Cc "last") * V "sum" * here * -1,
    sum = V "product" * (C(S "+-") * blank * V "product") ^ 0 / from_left,
    product = V "signed" * (C(S "*/") * blank * V "signed") ^ 0 / from_left,
    signed = P "-" * blank * V "signed" / function(value) return -value end + V "power",
    power = V "operand" * (P "^" * blank * V "signed") ^ -1 / function(a, b) return b and a ^ b or a end,
    operand = here * (number + known + P "(" * blank * V "sum" * here * ")" * blank) * here,
  }
  return function(text)
    furthest = 1
    local ok, variable, value = pcall(line.match, line, text) -- LPeg raises when parentheses nest too deeply
    return ok and variable, ok and value, furthest
  end
end

return function(conn)
  local values = { pi = math.pi }
  local read = reader(values)
  for text in conn:lines { max = 200 } do
    local variable, value, furthest = read(text)
    if value then
      values[variable] = value
    end
    conn:write(value and ("%.10g"):format(value) or (" "):rep(furthest - 1) .. "^ not understood", "\n")
  end
end
