//! The handler binary of the `users` group, started by the Functions host.

fn main() -> std::process::ExitCode {
    coder_startup::handler::main(coder_users::route_group())
}
