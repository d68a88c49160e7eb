--- The command `reload`. Not for scripts.
local units = require "moonwire.control.units"

local RELOAD_SECONDS <const> = 600 -- scripts may take their time to start

local function check(values)
  if values.canary and not values["for"] then
    return "--canary takes --for: how long to look at it"
  elseif not values.canary and (values["for"] or values.factor) then
    return ("--%s is for --canary"):format(values["for"] and "for" or "factor")
  end
end

local function show(answer)
  return ("generation %s in %.3f s; connections: %d moved, %d kept, %d ended\n"):format(
    answer.generation, answer.seconds or 0, answer.moved or 0, answer.kept or 0, answer.ended or 0)
end

---@type moonwire.control.command[]
return {
  {
    name = "reload",
    usage = "[SERVICE] [options]",
    about = "Brings the config and the scripts as they are now to all workers, or the script of one\n"
      .. "service. When anything is wrong nothing changes, the reason is told, and the status is 1. Waits\n"
      .. "until it is done.",
    operands = { least = 0, most = 1 },
    options = {
      { name = "canary", value = "SHARE", read = units.read_share,
        text = "give only this share of new connections to the new generation: 5%" },
      { name = "for", value = "DURATION", read = units.read_seconds,
        text = "for so long, such as 60s; then for all, or for none if it fails more often" },
      { name = "factor", value = "NUMBER", read = units.read_number,
        text = "how many times the error rate of the old generation is too much; default 2" },
      { name = "json", text = "the daemon's answer as it is, one JSON document" },
    },
    check = check,
    request = function(values)
      return {
        command = "reload", service = values[1], canary = values.canary, seconds = values["for"],
        factor = values.factor,
      }
    end,
    seconds = function(values) return RELOAD_SECONDS + (values["for"] or 0) end,
    show = show,
  },
}
