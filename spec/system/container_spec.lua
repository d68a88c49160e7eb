-- Where a machine cannot boot a container, the scenarios of systemd are skipped: one line says why,
-- and nothing has failed.
local folder = require "spec.support.folder"
local lfs = require "lfs"
local process = require "spec.support.process"

local function python()
  local status, path, errors = process.run { "python3", "-c", "import sys; print(sys.executable, end='')" }
  assert.are.equal(0, status, errors)
  return path
end

-- Runs the scenarios with a package of that many files.
local function run(place, packages, env)
  for i = 1, packages do
    place:write(("deb/%d.deb"):format(i), "")
  end
  return process.run { python(), "spec/systemd/run.py", "--deb", place.path .. "/deb", env = env }
end

describe("the scenarios of systemd", function()
  it("are skipped with the reason where there is no container", function()
    local place <close> = folder.new()
    local is_root = lfs.attributes(place.path, "uid") == 0
    local reason = is_root and "there is no systemd-nspawn here"
      or "it takes root to mount and to boot a container"
    local status, output, errors = run(place, 1, { PATH = place.path })
    assert.are.same({ 0, "skipped: " .. reason .. "\n0 passed, 0 failed, 1 skipped\n", "" },
      { status, output, errors })
  end)

  it("fail without a package", function()
    local place <close> = folder.new()
    local status, _, errors = run(place, 0, {})
    assert.are.equal(1, status)
    assert.is_not_nil(errors:find "one package expected, found 0; make deb packs it", errors)
  end)
end)
