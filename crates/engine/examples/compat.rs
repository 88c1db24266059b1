//! Prints the table of commands that stands in `COMPAT.md`.

fn main() {
    print!("{}", engine::compat::command_table());
}
