//! Entry point: hands over to the command.
fn main() {}
