//! Programs on a terminal of our own.

use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::process::Stdio;

use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;
use rustix::termios::OutputModes;
use rustix::termios::Winsize;

/// Both ends of a terminal that is so wide and shows lines as they are written.
pub(crate) fn terminal(width: u16) -> (File, OwnedFd) {
    let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&ours).unwrap();
    rustix::pty::unlockpt(&ours).unwrap();
    let name = rustix::pty::ptsname(&ours, Vec::new()).unwrap();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let theirs = rustix::fs::open(name.as_c_str(), flags, rustix::fs::Mode::empty()).unwrap();
    let size = Winsize { ws_row: 50, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&theirs, size).unwrap();
    let mut modes = rustix::termios::tcgetattr(&theirs).unwrap();
    modes.output_modes.remove(OutputModes::OPOST);
    rustix::termios::tcsetattr(&theirs, OptionalActions::Now, &modes).unwrap();
    (File::from(ours), theirs)
}

/// All that a program writes to its terminal while it runs; what it says on stderr goes elsewhere.
pub(crate) fn shown(command: Command, width: u16, env: &[(&str, &str)]) -> String {
    let (mut ours, theirs) = terminal(width);
    let mut command = command;
    command.env_remove("COLUMNS").env_remove("NO_COLOR").envs(env.iter().copied());
    command.stdin(Stdio::null()).stdout(theirs).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    // Else the command would hold the terminal open.
    drop(command);
    let mut read = Vec::new();
    // The end of a terminal is an error once nobody has its other end.
    let _ = ours.read_to_end(&mut read);
    child.wait().unwrap();
    String::from_utf8(read).unwrap()
}

/// All that a program writes to its terminal as talk; its data goes into a pipe and is answered, too.
pub(crate) fn talked(mut command: Command, width: u16) -> (String, Vec<u8>) {
    let (mut ours, theirs) = terminal(width);
    command.env_remove("COLUMNS").env_remove("NO_COLOR");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(theirs);
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut data = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut read = Vec::new();
        data.read_to_end(&mut read).unwrap();
        read
    });
    let mut read = Vec::new();
    let _ = ours.read_to_end(&mut read);
    child.wait().unwrap();
    (String::from_utf8(read).unwrap(), reader.join().unwrap())
}

/// The first line of a program that goes on; it is killed.
pub(crate) fn first_line(mut command: Command, width: u16) -> String {
    let (ours, theirs) = terminal(width);
    command.stdin(Stdio::null()).stdout(theirs).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut line = String::new();
    BufReader::new(ours).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    line.trim_end_matches('\n').to_owned()
}

/// Places that a text takes, counted without the program's own counting: wide characters two, marks
/// and what is invisible none.
pub(crate) fn places(text: &str) -> usize {
    let place = |c: char| match c {
        '\u{300}'..='\u{36f}' | '\u{e31}' | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}' => 0,
        '\u{591}'..='\u{5bd}' | '\u{64b}'..='\u{65f}' | '\u{200b}'..='\u{200f}' => 0,
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' => 2,
        '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ff60}' | '\u{1f300}'..='\u{1faff}' => 2,
        _ => 1,
    };
    text.chars().map(place).sum()
}
