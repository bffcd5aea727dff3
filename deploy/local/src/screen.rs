//! A terminal's whole screen, for what is shown live.

use std::io::{self, IsTerminal as _, Write as _};

use crate::output::Output;

/// The terminal's other screen, as long as this lives.
pub(crate) struct Screen;

impl Screen {
    /// The screen of whoever looks at tables on a terminal; none where standard output is something else.
    pub(crate) fn of(output: Output) -> io::Result<Option<Self>> {
        let live = output == Output::Table && io::stdout().is_terminal();
        live.then(Self::open).transpose()
    }

    fn open() -> io::Result<Self> {
        let mut out = io::stdout().lock();
        write!(out, "\x1b[?1049h\x1b[?25l")?;
        out.flush()?;
        Ok(Self)
    }

    /// How many lines it has beside a frame of so many.
    pub(crate) fn lines(&self, frame: usize) -> usize {
        let (_, lines) = crossterm::terminal::size().unwrap_or((80, 24));
        usize::from(lines).saturating_sub(frame).max(1)
    }

    /// Shows a text in the place of the one before.
    pub(crate) fn show(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        // Each line is cleared to its end as it is written, so that nothing flickers.
        let text = text.replace('\n', "\x1b[K\r\n");
        write!(out, "\x1b[H{text}\x1b[J")?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut out = io::stdout().lock();
        let _ = write!(out, "\x1b[?25h\x1b[?1049l");
        let _ = out.flush();
    }
}
