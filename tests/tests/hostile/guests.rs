//! The corpus: each guest by name, and exactly what has to come of it.

use crate::text::{EXPECTATIONS, FAULT, FREE, Guest, MEASUREMENTS, MESSAGE, VERDICT, data, running};

/// Zeros, behind what is allocated for the arguments.
const BEHIND: u32 = 131_072;

/// What has to come of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its runs end so: `error.type`, none = success. Then the limits that it reached.
    Runs(Option<&'static str>, &'static [&'static str]),
    /// It is no plugin for us, and this is said of it.
    Refused(&'static str),
}

use Fate::{Refused, Runs};

/// A guest and its fate.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) component: Vec<u8>,
    pub(crate) fate: Fate,
    /// It uses its whole time, so it is given little.
    pub(crate) sleeps: bool,
}

fn case(name: &'static str, guest: &Guest, fate: Fate) -> Case {
    Case { name, component: guest.component(), fate, sleeps: matches!(fate, Runs(Some("plugin_limit_time"), _)) }
}

const SPIN: &str = "(loop $for_ever (br $for_ever))";
const CPU: Fate = Runs(Some("plugin_limit_cpu"), &["cpu"]);
const TRAP: Fate = Runs(Some("plugin_trap"), &[]);
const MEMORY: Fate = Runs(Some("plugin_limit_memory"), &["memory"]);
const DATA: Fate = Runs(Some("plugin_limit_output"), &["data"]);
const ANSWER: Fate = Runs(Some("plugin_answer"), &[]);
const TIME: Fate = Runs(Some("plugin_limit_time"), &["time"]);
const FINE: Fate = Runs(None, &[]);

/// All that can be written as a core module.
pub(crate) fn all() -> Vec<Case> {
    [spinning(), breaking(), growing(), talking(), lying(), calling(), clinging(), introducing()].into_iter().flatten().collect()
}

/// The honest one, which the others are measured by.
pub(crate) fn honest() -> Vec<u8> {
    Guest::default().component()
}

/// Whatever it does, it does for ever.
fn spinning() -> Vec<Case> {
    let clock = |run: &str| running(run).importing("clock", "now", "now", "(result i64)");
    let sleep = |run: &str| running(run).importing("clock", "sleep", "sleep", "(param i64) (result i32)");
    let pair = "(func $ping (param i32) (call $pong (local.get 0))) (func $pong (param i32) (loop $l (br $l)))";
    let indirect = "(type $t (func)) (table 1 funcref) (elem (i32.const 0) $f) (func $f (loop $l (br $l)))";
    vec![
        case("spins in run", &running(SPIN), CPU),
        case("spins in realloc", &Guest { allocate: SPIN.to_owned(), ..Guest::default() }, CPU),
        case("spins in post-return", &Guest { after: SPIN.to_owned(), ..Guest::default() }, CPU),
        case("spins behind a call", &running("(call $ping (i32.const 1))").with(pair), CPU),
        case("spins behind an indirect call", &running("(call_indirect (type $t) (i32.const 0))").with(indirect), CPU),
        case("asks for the time for ever", &clock("(loop $l (drop (call $now)) (br $l))"), CPU),
        case("fills memory for ever", &fills(), CPU),
        case("copies memory for ever", &copies(), CPU),
        case("fills a table for ever", &fills_a_table(), CPU),
        case("returns late from many loops", &nested_loops(), CPU),
        case("sleeps for ever", &sleep("(loop $l (drop (call $sleep (i64.const -1))) (br $l))"), TIME),
        case("sleeps a nanosecond for ever", &sleep("(loop $l (drop (call $sleep (i64.const 1))) (br $l))"), TIME),
    ]
}

fn fills() -> Guest {
    let run = "(loop $l (memory.fill (i32.const 65536) (i32.const 7) (i32.const 6000000)) (br $l))";
    Guest { memory: "100", ..running(run) }
}

fn copies() -> Guest {
    let run = "(loop $l (memory.copy (i32.const 65536) (i32.const 65537) (i32.const 6000000)) (br $l))";
    Guest { memory: "100", ..running(run) }
}

fn fills_a_table() -> Guest {
    running("(loop $l (table.fill $t (i32.const 0) (ref.func $f) (i32.const 20000)) (br $l))")
        .with("(table $t 20000 funcref) (func $f) (elem declare func $f)")
}

fn nested_loops() -> Guest {
    running(&format!("{}{}", "(loop ".repeat(40), "(br_if 0 (i32.const 1)))".repeat(40)))
}

/// It traps, wherever and however.
fn breaking() -> Vec<Case> {
    let deep = "(func $deep (param i32) (result i32) (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (local.get 0)))";
    let indirect = "(type $t (func)) (type $other (func (param i32))) (table $table 2 funcref) (elem (i32.const 0) $f) (func $f)";
    let itself = "(type $t (func)) (table 1 funcref) (elem (i32.const 0) $f) (func $f (call_indirect (type $t) (i32.const 0)))";
    vec![
        case("executes unreachable", &running("unreachable"), TRAP),
        case("divides by zero", &running("(drop (i32.div_u (i32.const 1) (local.get $n)))"), TRAP),
        case("converts what is no number", &running("(drop (i32.trunc_f64_s (f64.const nan)))"), TRAP),
        case("reads outside its memory", &running("(drop (i32.load (i32.const -4)))"), TRAP),
        case("writes outside its memory", &running("(i64.store offset=4294967295 (i32.const -1) (i64.const 1))"), TRAP),
        case("calls what is not in the table", &running("(call_indirect (type $t) (i32.const 1))").with(indirect), TRAP),
        case("calls outside the table", &running("(call_indirect (type $t) (i32.const 9))").with(indirect), TRAP),
        case("calls with another signature", &running("(call_indirect (type $other) (i32.const 1) (i32.const 0))").with(indirect), TRAP),
        case("calls itself for ever", &running("(drop (call $deep (i32.const 0)))").with(deep), TRAP),
        case("calls itself through the table", &running("(call_indirect (type $t) (i32.const 0))").with(itself), TRAP),
        case("traps in post-return", &Guest { after: "unreachable".to_owned(), ..Guest::default() }, TRAP),
        case("traps in realloc", &Guest { allocate: "unreachable".to_owned(), ..Guest::default() }, TRAP),
        case("allocates outside its memory", &Guest { allocate: "(return (i32.const -8))".to_owned(), ..Guest::default() }, TRAP),
        case("allocates between words", &Guest { allocate: "(return (i32.const 4097))".to_owned(), ..Guest::default() }, TRAP),
    ]
}

/// It wants more.
fn growing() -> Vec<Case> {
    let grow = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))";
    let leap = "(drop (memory.grow (i32.const 65535)))";
    let table = "(loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))";
    let own_maximum = "(drop (table.grow $t (ref.null func) (i32.const 30000)))";
    let step = |run: &str| {
        running(run).importing("trace", "[static]step.begin", "begin", "(param i32 i32) (result i32)").importing(
            "trace",
            "[resource-drop]step",
            "drop",
            "(param i32)",
        )
    };
    let times = |count: u32, what: &str| {
        let counted = "(local.set $n (i32.add (local.get $n) (i32.const 1)))";
        format!("(loop $l {what} {counted} (br_if $l (i32.lt_u (local.get $n) (i32.const {count}))))")
    };
    let begin = format!("(call $begin (i32.const {FREE}) (i32.const 3))");
    vec![
        case("grows its memory page by page", &running(&format!("{grow} unreachable")), MEMORY),
        case("grows its memory and reports success all the same", &running(grow), MEMORY),
        case("grows its memory at a leap", &running(leap), MEMORY),
        case("respects its own maximum of memory", &Guest { memory: "2 3", ..running(grow) }, FINE),
        case("grows a table", &running(table).with("(table $t 1 funcref)"), Runs(Some("plugin_limit_memory"), &["tables"])),
        case("respects its own maximum of a table", &running(own_maximum).with("(table $t 1 10 funcref)"), FINE),
        case("leaks handles", &step(&times(2000, &format!("(drop {begin})"))), Runs(Some("plugin_limit_memory"), &["handles", "steps"])),
        case("drops a handle that it does not have", &step("(call $drop (i32.const 77))"), TRAP),
        case("opens more steps than are kept", &step(&times(150, &format!("(call $drop {begin})"))), Runs(None, &["steps"])),
        case("opens steps in steps and closes none", &step(&times(9, &format!("(drop {begin})"))), Runs(None, &["steps"])),
    ]
}

/// Too much, or not as it has to be.
fn talking() -> Vec<Case> {
    let store = |at: u32, value: u32| format!("(i32.store (i32.const {at}) (i32.const {value}))");
    let long = |length: u32| Guest { memory: "200", ..running(&(store(MESSAGE, BEHIND) + &store(MESSAGE + 4, length))) };
    let list = |at: u32, count: u32| Guest { memory: "200", ..running(&(store(at, BEHIND) + &store(at + 4, count))) };
    let write = |run: &str| running(run).importing("log", "write", "write", "(param i32 i32 i32 i32 i32)");
    let flood = format!(
        "(loop $l (call $write (i32.const 3) (i32.const {BEHIND}) (i32.const 100) (i32.const 0) (i32.const 0))
        (local.set $n (i32.add (local.get $n) (i32.const 1))) (br_if $l (i32.lt_u (local.get $n) (i32.const 300))))"
    );
    let line = format!("(call $write (i32.const 3) (i32.const {BEHIND}) (i32.const 5000000) (i32.const 0) (i32.const 0))");
    let attributes = format!("(call $write (i32.const 3) (i32.const 0) (i32.const 0) (i32.const {BEHIND}) (i32.const 300000))");
    vec![
        case("reports as much as it may", &long(256 << 10), FINE),
        case("reports a byte more than it may", &long((256 << 10) + 1), Runs(Some("plugin_limit_output"), &["report"])),
        case("reports a string of many megabytes", &long(8 << 20), DATA),
        case("reports a string longer than its memory", &long(u32::MAX), TRAP),
        case("reports expectations for ever", &list(EXPECTATIONS, 50_000), Runs(Some("plugin_limit_output"), &["report"])),
        case("reports more items than there is memory", &list(EXPECTATIONS, u32::MAX), TRAP),
        case("reports more measurements than are kept", &measuring(300, 0, 1.0), Runs(None, &["report"])),
        case("writes a log for ever", &Guest { memory: "3", ..write(&flood) }, Runs(None, &["log"])),
        case("writes a line of many megabytes", &Guest { memory: "100", ..write(&line) }, DATA),
        case("writes attributes for ever", &Guest { memory: "200", ..write(&attributes) }, DATA),
    ]
}

/// Gauges (0) or counters (1) of one value.
fn measuring(count: u32, instrument: u32, value: f64) -> Guest {
    let run = format!(
        "(local.set $n (i32.const {FREE}))
         (loop $l
            (i32.store (local.get $n) (i32.const {text}))
            (i32.store offset=4 (local.get $n) (i32.const 5))
            (i32.store8 offset=16 (local.get $n) (i32.const {instrument}))
            (f64.store offset=24 (local.get $n) (f64.const {value}))
            (local.set $n (i32.add (local.get $n) (i32.const 40)))
            (br_if $l (i32.lt_u (local.get $n) (i32.const {end}))))
         (i32.store (i32.const {MEASUREMENTS}) (i32.const {FREE}))
         (i32.store (i32.const {at}) (i32.const {count}))",
        text = FREE - 16,
        value = if value.is_nan() { "nan".to_owned() } else { value.to_string() },
        end = FREE + count * 40,
        at = MEASUREMENTS + 4,
    );
    running(&run).with(&data(FREE - 16, b"items"))
}

/// It contradicts itself, or says what nobody may say.
fn lying() -> Vec<Case> {
    let byte = |at: u32, value: u32| format!("(i32.store8 (i32.const {at}) (i32.const {value}))");
    let reporting = |message: &str| Guest { message: message.to_owned(), ..Guest::default() };
    let broken = |at: u32| running(&format!("(return (i32.const {at}))"));
    let unicode = running(&format!("(i32.store8 (i32.const {FREE}) (i32.const 255)) (i32.store (i32.const {MESSAGE}) (i32.const {FREE}))"));
    vec![
        case("reports a failure without a fault", &running(&byte(VERDICT, 1)), ANSWER),
        case("reports a success with a fault", &running(&byte(FAULT, 1)), ANSWER),
        case("reports a verdict that does not exist", &running(&byte(VERDICT, 7)), TRAP),
        case("reports what is no text", &unicode, TRAP),
        case("reports from outside its memory", &broken(u32::MAX - 7), TRAP),
        case("reports from between words", &broken(MESSAGE + 1), TRAP),
        case("reports escapes and control characters", &reporting("\u{1b}]0;owned\u{7}\u{1b}[2J\r\nERROR all is lost\u{9b}31m"), FINE),
        case("measures what is no number", &measuring(3, 0, f64::NAN), Runs(None, &["report"])),
        case("counts backwards", &measuring(3, 1, -1.0), Runs(None, &["report"])),
        case("measures below zero, as a gauge may", &measuring(3, 0, -1.0), FINE),
    ]
}

/// It asks the host for what it may not have.
fn calling() -> Vec<Case> {
    let random = |run: &str| running(run).importing("random", "bytes", "bytes", "(param i32 i32)");
    let state = |run: &str| running(run).importing("state", "set", "set", "(param i32 i32 i32 i32 i32)");
    let set = |key: u32, value: u32| {
        format!("(call $set (i32.const 65536) (i32.const {key}) (i32.const 65536) (i32.const {value}) (i32.const {FREE}))")
    };
    let send = |run: &str| running(run).importing("http", "send", "send", "(param i32 i32)");
    let ask = "(loop $l (call $send (i32.const 4096) (i32.const 8192)) (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $n) (i32.const 40))))";
    let accuse = format!("{ask} (i32.store8 (i32.const {VERDICT}) (i32.const 1)) (i32.store16 (i32.const {FAULT}) (i32.const 257))");
    let write = "(call $write (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))";
    let logging = |guest: Guest| guest.importing("log", "write", "write", "(param i32 i32 i32 i32 i32)");
    let large = |guest: Guest| Guest { memory: "200", ..guest };
    vec![
        case("wants more randomness than there is at a time", &random(&format!("(call $bytes (i32.const 4097) (i32.const {FREE}))")), TRAP),
        case("wants all randomness", &random(&format!("(call $bytes (i32.const -1) (i32.const {FREE}))")), TRAP),
        case("keeps more than it may", &large(state(&set(3, 40_000))), Runs(None, &["state"])),
        case("keeps it under a key of megabytes", &large(state(&set(5_000_000, 3))), DATA),
        case("asks for what is no URL, and more often than it may", &send(ask), Runs(None, &["exchanges"])),
        case("blames the target when its exchanges are used up", &send(&accuse), Runs(Some("denied"), &["exchanges"])),
        case("calls the host from realloc", &logging(Guest { allocate: write.to_owned(), ..Guest::default() }), TRAP),
        case("calls the host from post-return", &logging(Guest { after: write.to_owned(), ..Guest::default() }), TRAP),
    ]
}

/// Its tool chain brings WASI, of which there is as good as nothing.
fn clinging() -> Vec<Case> {
    let none =
        |function: &str| format!("(call ${function} (i32.const {FREE})) (if (i32.load offset=4 (i32.const {FREE})) (then unreachable))");
    let empty = running(&(none("variables") + &none("arguments") + &none("directories")))
        .importing_wasi("cli/environment", "get-environment", "variables", "(param i32)")
        .importing_wasi("cli/environment", "get-arguments", "arguments", "(param i32)")
        .importing_wasi("filesystem/preopens", "get-directories", "directories", "(param i32)");
    let exit = |code: u32| running(&format!("(call $exit (i32.const {code}))")).importing_wasi("cli/exit", "exit", "exit", "(param i32)");
    let random = |count: &str| {
        running(&format!("(call $bytes (i64.const {count}) (i32.const {FREE}))")).importing_wasi(
            "random/random",
            "get-random-bytes",
            "bytes",
            "(param i64 i32)",
        )
    };
    let shout = format!(
        "(loop $l (call $write (call $stderr) (i32.const {FREE}) (i32.const 20) (i32.const 8192))
        (local.set $n (i32.add (local.get $n) (i32.const 1))) (br_if $l (i32.lt_u (local.get $n) (i32.const 300))))"
    );
    let shout = running(&shout)
        .importing_wasi("cli/stderr", "get-stderr", "stderr", "(result i32)")
        .importing_wasi("io/streams", "[method]output-stream.blocking-write-and-flush", "write", "(param i32 i32 i32 i32)")
        .with(&data(FREE, b"a line of the guest\n"));
    let sleep = running("(call $block (call $subscribe (i64.const 3600000000000)))")
        .importing_wasi("clocks/monotonic-clock", "subscribe-duration", "subscribe", "(param i64) (result i32)")
        .importing_wasi("io/poll", "[method]pollable.block", "block", "(param i32)");
    vec![
        case("finds no environment, no arguments and no directories", &empty, FINE),
        case("exits", &exit(1), TRAP),
        case("exits as if all were well", &exit(0), TRAP),
        case("takes a little randomness of WASI", &random("32"), FINE),
        case("wants more randomness of WASI than there is at a time", &random("1000000000000"), TRAP),
        case("writes to stderr for ever", &shout, Runs(None, &["log"])),
        case("sleeps for an hour by WASI", &sleep, TIME),
    ]
}

/// It is a plugin only until it is asked what it is.
fn introducing() -> Vec<Case> {
    let describing = |describe: &str| Guest { describe: describe.to_owned(), ..Guest::default() };
    let schema = |schema: String| Guest { schema, memory: "16", ..Guest::default() };
    let importing = describing("(drop (call $now))").importing("clock", "now", "now", "(result i64)");
    vec![
        case("spins in start", &Guest { start: SPIN.to_owned(), ..Guest::default() }, Refused("more than its 250ms of CPU time")),
        case(
            "traps in start",
            &Guest { start: "unreachable".to_owned(), ..Guest::default() },
            Refused("asked what it is: the plugin trapped"),
        ),
        case("spins in describe", &describing(SPIN), Refused("more than its 250ms of CPU time")),
        case("traps in describe", &describing("unreachable"), Refused("asked what it is: the plugin trapped")),
        case("describes itself from outside its memory", &describing("(return (i32.const -16))"), Refused("asked what it is")),
        case("needs the host to describe itself", &importing, Refused("`describe` has to answer by itself")),
        case("has a name of escapes", &Guest { name: "a:\u{1b}[31mred".to_owned(), ..Guest::default() }, Refused("`a: [31mred` has to be")),
        case(
            "has a schema of 300 KiB",
            &schema(format!("{{\"a\": \"{}\"}}", "x".repeat(300 << 10))),
            Refused("bytes, at most 262144 are read"),
        ),
        case("has a schema of a thousand brackets", &schema("[".repeat(1000)), Refused("not JSON: recursion limit")),
        case("has a schema that is none", &schema(r#"{"type": 7}"#.to_owned()), Refused("no JSON Schema")),
        case("begins with more memory than there is", &Guest { memory: "2000", ..Guest::default() }, Refused("it cannot be used")),
        case("begins with a table that is too large", &Guest::default().with("(table 30000 funcref)"), Refused("it cannot be used")),
        case(
            "begins with more tables than there are",
            &Guest::default().with(&"(table 1 funcref)".repeat(9)),
            Refused("it cannot be used"),
        ),
    ]
}
