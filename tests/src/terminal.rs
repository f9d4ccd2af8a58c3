//! A command on a terminal of its own, for what it does only there.

use std::{
    fs::File,
    io::Read as _,
    os::fd::OwnedFd,
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::{
    fs::{Mode, OFlags, open},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::wait::until;

const END: Duration = Duration::from_secs(30);

/// A command that runs on a pseudo-terminal; it is killed when this is dropped.
pub struct Terminal {
    child: Child,
    shown: Arc<Mutex<Vec<u8>>>,
    size: Arc<OwnedFd>,
}

impl Terminal {
    /// Starts `command` on a terminal with so many columns and rows.
    pub fn start(mut command: Command, (columns, rows): (u16, u16)) -> Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let slave = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
        let size = Arc::new(master.try_clone()?);
        let mut reader = File::from(master);
        let child = command
            .env("TERM", "xterm-256color")
            .stdin(slave.try_clone()?)
            .stdout(slave.try_clone()?)
            .stderr(slave)
            .spawn()
            .with_context(|| format!("failed to start {}", command.get_program().display()))?;
        // The command holds its side of the terminal; reading ends when it has ended.
        drop(command);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let terminal = Self {
            child,
            shown: Arc::clone(&shown),
            size,
        };
        terminal.resize((columns, rows))?;
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
                shown.extend_from_slice(&buffer[..read]);
            }
        });
        Ok(terminal)
    }

    /// Gives the terminal another size. The command has no terminal that controls it, so it is told
    /// by a signal.
    pub fn resize(&self, (columns, rows): (u16, u16)) -> Result<()> {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        Ok(tcsetwinsize(&*self.size, size)?)
    }

    /// Everything that was written to the terminal so far, control sequences included.
    #[must_use]
    pub fn shown(&self) -> String {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// Sends a signal, such as the one of Ctrl-C.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = i32::try_from(self.child.id())?;
        let id = Pid::from_raw(id).context("a process has an id")?;
        Ok(kill_process(id, signal)?)
    }

    /// Waits for the command's end.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        until(END, "the end of the command", async || {
            Ok(self.child.try_wait()?)
        })
        .await
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
