//! The one door of output: results go to stdout, everything else to stderr. What cannot be written is said, and no
//! text from outside does anything to a terminal.

use std::io::{self, IsTerminal, Write};
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::{NO_VERDICT, worst};
use crate::config::visible;

/// Whether there was no stdout when the process began (`vedette check … >&-`).
static CLOSED: AtomicBool = AtomicBool::new(false);

/// The standard library puts `/dev/null` in the place of a stdout that is closed, before `main`: this looks before that.
#[used]
#[expect(unsafe_code, reason = "there is no other place from which code runs before the standard library's own")]
#[cfg_attr(target_os = "linux", unsafe(link_section = ".init_array"))]
static LOOK: extern "C" fn() = look;

#[expect(unsafe_code, reason = "whether this descriptor is open is the very question, and nothing else is done with it")]
extern "C" fn look() {
    // SAFETY: it is borrowed for one call that takes any number, and says whether it stands for something.
    let stdout = unsafe { BorrowedFd::borrow_raw(1) };
    CLOSED.store(rustix::io::fcntl_getfd(stdout).is_err(), Relaxed);
}

/// Results, and the exit code after them: that of the command, or no verdict if they could not be written and nothing is
/// worse. A reader that has gone away (`vedette check | head -0`) is no error.
pub(super) fn print(text: &str, code: u8) -> u8 {
    match write(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            say(&format!("vedette: the results cannot be written to stdout: {error}"));
            worst(code, NO_VERDICT)
        }
        _ => code,
    }
}

fn write(text: &str) -> io::Result<()> {
    if CLOSED.load(Relaxed) {
        return Err(rustix::io::Errno::BADF.into());
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Everything else: one line, or several that are meant to be.
pub(super) fn say(text: &str) {
    // Nobody is left to be told that this failed.
    let _ = writeln!(io::stderr(), "{}", visible::lines(text));
}

/// Whether a stream is for a person who likes colours.
pub(super) fn colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
