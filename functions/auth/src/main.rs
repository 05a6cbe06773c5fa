//! The handler binary of the `auth` group, started by the Functions host.

fn main() -> std::process::ExitCode {
    coder_startup::handler::main(coder_auth::route_group())
}
