//! Compiles plug-ins in a process of its own, with limits of the system: a component can be written so that compiling it takes
//! hours, or all memory there is.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use fenix_wasm::{CompileError, Compiler, limits, precompile};

/// The argument by which this program is asked to be such a process. Not a command: nobody types it.
pub const ARGUMENT: &str = "compile-component";

/// This program, also if the file that it was started from is another one by now.
const PROGRAM: &str = "/proc/self/exe";

/// Processor seconds that it may take, over all its threads. A plug-in with an interpreter in it takes ten.
const PROCESSOR_SECS: u64 = 120;

/// How long it may take in all.
const WITHIN: Duration = Duration::from_secs(120);

/// Bytes of memory of its own that it may have. A plug-in with an interpreter in it takes a fourth.
const MEMORY_BYTES: u64 = 2 << 30;

/// Most bytes of compiled code: some times those of the largest component.
const COMPILED_BYTES: u64 = 16 * limits::COMPONENT_BYTES as u64;

/// How it ends if the component cannot be compiled: it has said why.
const INVALID: u8 = 3;

/// Compiles in processes of this program.
#[derive(Clone, Copy, Debug, Default)]
pub struct Workers;

impl Compiler for Workers {
    fn compile(&self, component: &[u8]) -> Result<Vec<u8>, CompileError> {
        let failed = |why: String| CompileError::Costly(why);
        let mut child = Command::new(PROGRAM)
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_clear()
            .spawn()
            .map_err(|error| failed(format!("no process can be started for it: {error}")))?;
        let (Some(mut input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(failed("the process for it cannot be spoken to".to_owned()));
        };
        let (compiled, said) = thread::scope(|scope| {
            // One that ends before it has read all says why by how it ends.
            scope.spawn(move || drop(input.write_all(component)));
            let said = scope.spawn(move || read(errors, 4096));
            let (sender, receiver) = mpsc::sync_channel(1);
            scope.spawn(move || drop(sender.send(read(output, COMPILED_BYTES + 1))));
            let compiled = receiver.recv_timeout(WITHIN);
            if compiled.is_err() {
                // With it end its outputs, and those who read them.
                drop(child.kill());
            }
            (compiled.ok(), said.join().unwrap_or_default())
        });
        judge(child, compiled, &said)
    }
}

/// What came of it.
fn judge(mut child: Child, compiled: Option<Vec<u8>>, said: &[u8]) -> Result<Vec<u8>, CompileError> {
    let costly = |why: String| Err(CompileError::Costly(why));
    let status = child.wait();
    let said = String::from_utf8_lossy(said).trim().to_owned();
    match (compiled, status) {
        (None, _) => costly(format!("it takes longer than {} s", WITHIN.as_secs())),
        (Some(compiled), Ok(status)) if status.success() => match compiled.len() as u64 > COMPILED_BYTES {
            true => costly(format!("what it becomes has more than {COMPILED_BYTES} bytes")),
            false => Ok(compiled),
        },
        (Some(_), Ok(status)) if status.code() == Some(i32::from(INVALID)) => {
            Err(CompileError::Invalid(said))
        }
        (Some(_), Ok(status)) => costly(format!(
            "its process ended ({status}), which has {PROCESSOR_SECS} s of the processor and {} MiB of memory",
            MEMORY_BYTES >> 20
        )),
        (Some(_), Err(error)) => costly(format!("nobody knows how its process ended: {error}")),
    }
}

fn read(from: impl Read, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was read until something broke is not whole, and how the process ended says so.
    let _cut_off = from.take(most).read_to_end(&mut bytes);
    bytes
}

/// The process itself: reads a component, writes what it was compiled to.
pub fn serve() -> ExitCode {
    let limits = [(rlimit::Resource::CPU, PROCESSOR_SECS), (rlimit::Resource::DATA, MEMORY_BYTES)];
    let limited = limits.iter().try_for_each(|(resource, most)| resource.set(*most, *most));
    let said = match limited {
        Ok(()) => compile(),
        Err(error) => Err(format!("its process cannot be limited: {error}")),
    };
    match said {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // Whoever started it reads this; if nobody does, there is nobody to tell.
            let _nobody = writeln!(std::io::stderr(), "{why}");
            ExitCode::from(INVALID)
        }
    }
}

fn compile() -> Result<(), String> {
    let component = read(std::io::stdin(), limits::COMPONENT_BYTES as u64 + 1);
    let compiled = precompile(&component)?;
    std::io::stdout().write_all(&compiled).map_err(|error| error.to_string())
}
