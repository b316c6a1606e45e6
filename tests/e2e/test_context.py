# SPDX-License-Identifier: MIT
"""What a reload carries from the old context into the new one, and what it refuses to."""
import unittest

from tiny_server import ServerCase


class Carried(ServerCase):
    def carry(self, fill, see, conf=None):
        """Fill self.context (as c) in the first generation, look at it in the second.
        'see' is Lua that asserts; the test passes when it comes to its end."""
        server = self.start(f"""
          local ffi, null = require "ffi", require("cjson").null
          local function fill(c) {fill} end
          local function see(c) {see} end
          function S:on_start()
            if self.generation == 1 then fill(self.context) else see(self.context) self:info("seen") end
          end
          function S:on_except() return nil, ffi, null end""", conf)
        self.assert_reloaded(server.project)
        server.wait_line("INFO seen")
        return server

    def test_plain_values(self):
        self.carry("""c.yes, c.no, c.int, c.frac, c.big, c.text = true, false, -7, 0.1, 2^53, "t"
                      c.inf, c.nan = 1/0, 0/0""",
                   """assert(c.yes == true and c.no == false and c.int == -7 and c.frac == 0.1 and c.big == 2^53)
                      assert(c.text == "t" and c.inf == 1/0 and c.nan ~= c.nan)""")

    def test_strings_of_any_bytes(self):
        self.carry('c.bytes, c.none = "a\\0b\\255\\n", ""', 'assert(c.bytes == "a\\0b\\255\\n" and c.none == "")')

    def test_64_bit_integers(self):
        self.carry("c.i, c.u = -9007199254740993LL, 18446744073709551615ULL",
                   """assert(c.i == -9007199254740993LL and ffi.istype("int64_t", c.i))
                      assert(c.u == 18446744073709551615ULL and ffi.istype("uint64_t", c.u))""")

    def test_cjson_null(self):
        self.carry("c.null = null", "assert(c.null == null)")

    def test_keys_of_every_kind(self):
        self.carry("local t = {} c.t, c[t], c[1.5], c[true], c[-1] = t, 'table', 'frac', 'bool', 'minus'",
                   "assert(c[c.t] == 'table' and c[1.5] == 'frac' and c[true] == 'bool' and c[-1] == 'minus')")

    def test_lists_keep_their_length(self):
        self.carry("c.l = {} for i = 1, 1000 do c.l[i] = i * i end",
                   "assert(#c.l == 1000 and c.l[1000] == 1000000)")

    def test_shared_references_stay_shared(self):
        self.carry("local t = { 1 } c.a, c.b, c.deep = t, t, { t }",
                   "assert(c.a == c.b and c.deep[1] == c.a and c.a[1] == 1)")

    def test_cycles_stay_cycles(self):
        self.carry("c.self, c.child = c, { parent = c } c.child.me = c.child",
                   "assert(c.self == c and c.child.parent == c and c.child.me == c.child)")

    def test_very_deep_tables(self):
        self.carry("local t = c for _ = 1, 100000 do t.next = {} t = t.next end t.last = 'here'",
                   "local n, t = 0, c while t.next do n, t = n + 1, t.next end assert(n == 100000 and t.last == 'here')")

    def test_ten_megabytes(self):
        self.carry("c.blob = ('0123456789abcdef'):rep(655360)"
                   " c.rows = {} for i = 1, 50000 do c.rows[i] = { id = i, name = 'n' .. i } end",
                   "assert(#c.blob == 10485760 and c.blob:sub(-3) == 'def')"
                   " assert(#c.rows == 50000 and c.rows[50000].name == 'n50000')")

    def test_it_is_a_copy_with_nothing_of_the_old_state(self):
        server = self.carry("c.n = 1 c.t = {}", "c.n = c.n + 1 c.t.more = true assert(c.n >= 2)")
        self.assert_reloaded(server.project)
        server.wait_line("INFO seen", times=2)


class Refused(ServerCase):
    def refuse(self, fill, *words):
        server = self.start(f"""
          function S:on_start()
            self:info("starts")
            local c = self.context
            {fill}
          end
          function S:run() self:info("tick") tiny.sleep(0.02) end""")
        text = self.assert_refused(server.project, words[0], 1)
        for word in words[1:]:
            self.assertIn(word, text)
        server.wait_line("starts", times=2)
        ticks = len(server.lines("tick"))
        server.wait_line("tick", times=ticks + 2)

    def test_a_function(self):
        self.refuse("c.handlers = { done = function() end }", "context.handlers.done is a function")

    def test_a_userdata(self):
        self.refuse('c.db = { conn = io.open("/dev/null") }', "context.db.conn is a userdata")

    def test_a_coroutine(self):
        self.refuse("c.job = coroutine.create(print)", "context.job is a thread")

    def test_a_table_with_a_metatable(self):
        self.refuse("c.point = setmetatable({ x = 1 }, {})", "context.point", "metatable")

    def test_cdata_that_is_no_integer(self):
        self.refuse('c.buffer = require("ffi").new("char[8]")', "context.buffer is a cdata")

    def test_a_function_as_a_key(self):
        self.refuse("c.set = { [print] = true }", "context.set", "function")

    def test_deep_in_a_list(self):
        self.refuse("c.list = { 1, { x = print } }", "context.list", "x is a function")

    def test_it_says_what_to_do(self):
        server = self.start("function S:on_start() self.context.cb = print end")
        text = self.assert_refused(server.project, "context.cb is a function", 1)
        self.assertRegex(text, "on_close|on_start")


if __name__ == "__main__":
    unittest.main()
