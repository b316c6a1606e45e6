-- SPDX-License-Identifier: MIT
local civil = require "tiny.civil"

describe("civil dates", function()
  it("agree with the C library over three thousand years", function()
    for days = -400000, 700000, 7 do
      local t = os.date("!*t", days * 86400)
      local year, month, day = civil.date(days)
      assert(year == t.year and month == t.month and day == t.day, days)
      assert(civil.days(year, month, day) == days, days)
      assert(civil.weekday(days) == t.wday - 1, days)
    end
  end)

  it("know how long a month is", function()
    assert.equal(29, civil.month_days(2024, 2))
    assert.equal(28, civil.month_days(2100, 2))
    assert.equal(29, civil.month_days(2000, 2))
    assert.equal(31, civil.month_days(2026, 12))
    assert.equal(30, civil.month_days(2026, 11))
  end)
end)
