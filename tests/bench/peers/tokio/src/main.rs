// SPDX-License-Identifier: MIT

//! What do Tokio's channels, semaphore and mutex cost?
//!
//!     chan.1p1c, chan.4p1c    an item through an mpsc of 128 slots, from one
//!                             and from four producers to one consumer
//!     pingpong.sem            a round trip over two semaphores
//!     pingpong.chan           over two channels of one slot: none has fewer
//!     mutex.alone, mutex.8    lock and unlock, by one and by eight tasks
//!
//! Measures what chan.c, pingpong.c and mutex.c measure of weft, under the same
//! names; `.w2` is with two workers.  A NAME measures those that begin with it.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, Mutex, Semaphore};

const ROUNDS: usize = 5;
const SLOTS: usize = 128;
const ITEMS: u64 = 1_000_000; // of a round, of all producers
const TRIPS: u64 = 200_000;
const LOCKS: u64 = 2_000_000; // of a round, of all tasks

/// The time since `began`, in nanoseconds for each of `n`.
fn each(began: Instant, n: u64) -> f64 {
    began.elapsed().as_nanos() as f64 / n as f64
}

async fn produce(to: mpsc::Sender<u64>, n: u64) {
    for i in 0..n {
        to.send(i).await.unwrap();
    }
}

async fn consume(mut from: mpsc::Receiver<u64>) -> u64 {
    let mut sum = 0;
    while let Some(item) = from.recv().await {
        sum += item;
    }
    sum
}

async fn channel(producers: u64) -> f64 {
    let (to, from) = mpsc::channel(SLOTS);
    let share = ITEMS / producers;
    let began = Instant::now();
    let consumer = tokio::spawn(consume(from));
    for _ in 0..producers {
        tokio::spawn(produce(to.clone(), share));
    }
    drop(to);
    let sum = consumer.await.unwrap();
    let took = each(began, ITEMS);
    assert_eq!(sum, ITEMS * (share - 1) / 2, "items were lost");
    took
}

async fn take(semaphore: &Semaphore) {
    semaphore.acquire().await.unwrap().forget();
}

async fn pingpong_sem() -> f64 {
    let ping = Arc::new(Semaphore::new(0));
    let pong = Arc::new(Semaphore::new(0));
    let (ping2, pong2) = (ping.clone(), pong.clone());
    let began = Instant::now();
    tokio::spawn(async move {
        for _ in 0..TRIPS {
            take(&ping2).await;
            pong2.add_permits(1);
        }
    });
    let serves = tokio::spawn(async move {
        for _ in 0..TRIPS {
            ping.add_permits(1);
            take(&pong).await;
        }
    });
    serves.await.unwrap();
    each(began, TRIPS)
}

async fn pingpong_chan() -> f64 {
    let (ping, mut pinged) = mpsc::channel(1);
    let (pong, mut ponged) = mpsc::channel(1);
    let began = Instant::now();
    tokio::spawn(async move {
        while let Some(i) = pinged.recv().await {
            pong.send(i).await.unwrap();
        }
    });
    let serves = tokio::spawn(async move {
        for i in 0..TRIPS {
            ping.send(i).await.unwrap();
            assert_eq!(ponged.recv().await, Some(i));
        }
    });
    serves.await.unwrap();
    each(began, TRIPS)
}

async fn mutex(tasks: u64) -> f64 {
    let count = Arc::new(Mutex::new(0));
    let mut handles = Vec::new();
    let began = Instant::now();
    for _ in 0..tasks {
        let count = count.clone();
        handles.push(tokio::spawn(async move {
            for _ in 0..LOCKS / tasks {
                *count.lock().await += 1;
            }
        }));
    }
    for handle in handles {
        handle.await.unwrap();
    }
    let count = *count.lock().await;
    each(began, count)
}

struct Bench {
    runtime: Runtime,
    workers: usize,
    prefix: String,
}

impl Bench {
    fn report<F: Future<Output = f64>>(&self, name: &str, once: impl Fn() -> F) {
        if !name.starts_with(&self.prefix) {
            return;
        }
        self.runtime.block_on(once());
        let mut ns: Vec<f64> = (0..ROUNDS).map(|_| self.runtime.block_on(once())).collect();
        ns.sort_by(f64::total_cmp);
        let suffix = match self.workers {
            1 => String::new(),
            n => format!(".w{n}"),
        };
        println!("{name}{suffix} {:.2} ns", ns[ROUNDS / 2]);
    }
}

/// `[-w WORKERS] [NAME]`, by default one, and all.
fn parse(args: &[&str]) -> Option<(usize, String)> {
    match args {
        ["-w", n, rest @ ..] => Some((n.parse().ok().filter(|n| *n > 0)?, parse(rest)?.1)),
        [] => Some((1, String::new())),
        [name] if !name.starts_with('-') => Some((1, name.to_string())),
        _ => None,
    }
}

fn main() {
    let usage = "usage: tokio_peer [-w WORKERS] [NAME]";
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--help") {
        return println!("{usage}");
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (workers, prefix) = parse(&args).unwrap_or_else(|| {
        eprintln!("{usage}");
        std::process::exit(1)
    });
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers)
        .build()
        .unwrap();
    let bench = Bench {
        runtime,
        workers,
        prefix,
    };
    bench.report("chan.1p1c", || channel(1));
    bench.report("chan.4p1c", || channel(4));
    bench.report("pingpong.sem", pingpong_sem);
    bench.report("pingpong.chan", pingpong_chan);
    bench.report("mutex.alone", || mutex(1));
    bench.report("mutex.8", || mutex(8));
}
