//! The handler binary of the `notifications` group, started by the Functions host.

fn main() -> std::process::ExitCode {
    coder_startup::handler::main(coder_notifications::route_group())
}
