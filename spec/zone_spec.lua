-- SPDX-License-Identifier: MIT
local civil = require "tiny.civil"
local zone = require "tiny.zone"

local function utc(year, month, day, hour)
  return civil.days(year, month, day) * 86400 + (hour or 0) * 3600
end
local function hours(name, ...) return assert(zone.load(name)):offset(utc(...)) / 3600 end

describe("a time zone", function()
  it("knows the offsets of the past from its table", function()
    assert.equal(-2, hours("America/Sao_Paulo", 2018, 12, 1))
    assert.equal(-3, hours("America/Sao_Paulo", 2019, 12, 1))
    assert.equal(5.5, hours("Asia/Kolkata", 2026, 6, 1))
    assert.equal(6.5, hours("Asia/Kolkata", 1944, 6, 1))
  end)

  it("knows the offsets of the future from its rule", function()
    assert.equal(1, hours("Europe/Zurich", 2150, 1, 1))
    assert.equal(2, hours("Europe/Zurich", 2150, 7, 1))
    assert.equal(11, hours("Australia/Lord_Howe", 2150, 1, 1))
    assert.equal(10.5, hours("Australia/Lord_Howe", 2150, 7, 1))
  end)

  it("changes at the very second", function()
    local zurich = zone.load("Europe/Zurich")
    for _, year in ipairs {2026, 2126} do
      local sunday = civil.days(year, 3, 31) - civil.weekday(civil.days(year, 3, 31))
      assert.equal(3600, zurich:offset(sunday * 86400 + 3599))
      assert.equal(7200, zurich:offset(sunday * 86400 + 3600))
    end
  end)

  it("takes its first offset for the time before its table", function()
    assert.equal(2048, assert(zone.load("Europe/Zurich")):offset(utc(1700, 1, 1)))
  end)

  it("says what is wrong with a name", function()
    local _, why = zone.load("Europe/Zurch")
    assert.matches('^time zone "Europe/Zurch" is not in .+tzdata', why)
    for _, name in ipairs {"../../etc/passwd", "/etc/localtime", "", "Europe/..", "a b", "zone.tab"} do
      assert.is_nil((zone.load(name)))
    end
    assert.is_nil((zone.load("Europe"))) -- a folder
  end)

  it("of the process is the one of the C library", function()
    local time = os.time({year = 2026, month = 7, day = 1, hour = 12})
    assert.equal(utc(2026, 7, 1, 12), time + zone.here:offset(time))
  end)
end)

-- With files made here: what real ones do not hold.
describe("a time zone file", function()
  local folder = os.tmpname()

  setup(function()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder) == 0)
  end)
  teardown(function() os.execute("rm -r " .. folder) end)

  local function load(data)
    local file = assert(io.open(folder .. "/Test", "wb"))
    file:write(data)
    file:close()
    return zone.load("Test", folder)
  end

  -- One type, UTC+1, no changes; both blocks and a rule.
  local function data(rule, leaps)
    local counts = "\0\0\0\0\0\0\0\0\0\0\0" .. string.char(leaps or 0) .. "\0\0\0\0\0\0\0\1\0\0\0\4"
    local head = "TZif2" .. ("\0"):rep(15) .. counts
    local body = "\0\0\14\16\0\0CET\0"
    return head .. body .. ("\0"):rep(8 * (leaps or 0)) .. head .. body .. ("\0"):rep(12 * (leaps or 0))
      .. "\n" .. rule .. "\n"
  end

  it("may be without a rule", function()
    assert.equal(3600, assert(load(data(""))):offset(utc(2026, 7, 1)))
    assert.equal(3600, assert(load(data("no rule"))):offset(utc(2026, 7, 1)))
  end)

  it("may count days of the year, with and without the leap day", function()
    local with = assert(load(data("AAA0BBB,59/0,300/0"))) -- the 60th day from 0
    assert.equal(0, with:offset(utc(2024, 2, 28, 23)))
    assert.equal(3600, with:offset(utc(2024, 2, 29)))
    assert.equal(3600, with:offset(utc(2023, 3, 1)))
    local without = assert(load(data("AAA0BBB,J60/0,J300/0"))) -- 1 March, always
    assert.equal(0, without:offset(utc(2024, 2, 29, 23)))
    assert.equal(3600, without:offset(utc(2024, 3, 1)))
    assert.equal(3600, without:offset(utc(2023, 3, 1)))
  end)

  it("may leave out when summer is, and give odd times of it", function()
    assert.equal(-4 * 3600, assert(load(data("EST5EDT"))):offset(utc(2026, 7, 1)))
    local odd = assert(load(data("<-02>2<-01>,M3.5.0/-1,M10.5.0/0")))
    assert.equal(-7200, odd:offset(utc(2026, 3, 29, 0)))
    assert.equal(-3600, odd:offset(utc(2026, 3, 29, 1)))
  end)

  it("is refused when it counts leap seconds, is cut short or something else", function()
    assert.matches("leap seconds", select(2, load(data("", 1))))
    local whole = data("CET-1")
    for size = 0, #whole - 8 do
      local cut, why = load(whole:sub(1, size))
      assert.is_nil(cut)
      assert.matches("time zone file", why)
    end
    assert.is_nil((load("# just text\n")))
  end)
end)
