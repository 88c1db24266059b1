//! Answers `+PONG` to each line `PING` and to each request `*1 $4 PING`, and does nothing else: the floor of what a server can cost per operation.
//!
//! `pingpong [io_uring|multishot|epoll] [port]`, then `redis-benchmark -p PORT -t ping_mbulk -P 16 -c 50`.
//! The processor time of the process divided by the number of requests is what the network costs.

use std::collections::HashMap;
use std::error::Error;

use net::{Choice, ConnId, Event, Limits, Net};

fn main() -> Result<(), Box<dyn Error>> {
    let kind = std::env::args().nth(1).unwrap_or_else(|| "io_uring".to_owned());
    let port: u16 = std::env::args().nth(2).map_or(Ok(0), |p| p.parse())?;
    let choice = if kind == "epoll" { Choice::Epoll } else { Choice::IoUring };
    let (mut net, _) = Net::new(choice, Limits { multishot: kind == "multishot", ..Limits::default() })?;
    let fd = net::listen_tcp(([127, 0, 0, 1], port).into(), 511)?;
    println!("{} on {}", net.backend(), net::local_addr(&fd)?);
    net.listen(fd);
    // Per connection: bytes of answers not yet given to send, and whether a send is outstanding.
    let mut conns: HashMap<ConnId, (Vec<u8>, bool)> = HashMap::new();
    let mut spare: Vec<Vec<u8>> = Vec::new();
    let (mut events, mut touched) = (Vec::new(), Vec::new());
    loop {
        net.poll(None, &mut events)?;
        for event in events.drain(..) {
            match event {
                Event::Accepted { conn, .. } => {
                    net::set_nodelay(net.fd(conn).expect("it was just accepted"), true)?;
                    conns.insert(conn, (Vec::new(), false));
                    net.recv(conn);
                }
                Event::Data { conn, slot } => {
                    let Some((out, _)) = conns.get_mut(&conn) else {
                        continue;
                    };
                    if out.capacity() == 0 {
                        *out = spare.pop().unwrap_or_default();
                    }
                    // A request ends with a line that ends in G (its argument), and CONFIG and the like of the benchmark's start do too.
                    let bytes = net.data(slot);
                    let ends = bytes.iter().filter(|&&b| b == b'G').count();
                    (0..ends).for_each(|_| out.extend_from_slice(b"+PONG\r\n"));
                    touched.push(conn);
                }
                Event::Sent { conn, buf } => {
                    spare.push(buf);
                    if let Some((out, sending)) = conns.get_mut(&conn) {
                        *sending = false;
                        if !out.is_empty() {
                            touched.push(conn);
                        }
                    }
                }
                Event::Eof { conn } | Event::Error { conn, .. } => {
                    conns.remove(&conn);
                    net.close(conn);
                }
                Event::AcceptFailed { error, .. } => eprintln!("accept: {error}"),
                Event::Connected { .. } | Event::Woken => {}
            }
        }
        for conn in touched.drain(..) {
            if let Some((out, sending)) = conns.get_mut(&conn)
                && !*sending
                && !out.is_empty()
            {
                match net.send(conn, std::mem::take(out)) {
                    Some(buf) => spare.push(buf),
                    None => *sending = true,
                }
            }
        }
    }
}
