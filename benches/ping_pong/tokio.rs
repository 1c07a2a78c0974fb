#[path = "../harness/timing.rs"]
mod timing;
#[path = "../harness/tokio.rs"]
mod tokio_runtime;

use tokio::sync::{mpsc, oneshot};

/// A question brings the sender of its answer, and that of the next question comes with the answer.
struct Question(oneshot::Sender<Answer>);
struct Answer(Option<oneshot::Sender<Question>>);

async fn answers(mut there: oneshot::Receiver<Question>, count: u64) {
    for i in 0..count {
        let Question(back) = there.await.unwrap();
        if i + 1 == count {
            let _ = back.send(Answer(None));
            return;
        }
        let (sender, receiver) = oneshot::channel();
        there = receiver;
        let _ = back.send(Answer(Some(sender)));
    }
}

async fn oneshot_round_trips(count: u64) {
    let (sender, receiver) = oneshot::channel();
    let task = tokio::spawn(answers(receiver, count));
    let mut there = Some(sender);
    while let Some(sender) = there {
        let (back, answer) = oneshot::channel();
        let _ = sender.send(Question(back));
        there = answer.await.unwrap().0;
    }
    task.await.unwrap();
}

async fn mpsc_round_trips(count: u64) {
    let (there, mut questions) = mpsc::unbounded_channel();
    let (back, mut replies) = mpsc::unbounded_channel();
    let task = tokio::spawn(async move {
        while let Some(question) = questions.recv().await {
            back.send(question).unwrap();
        }
    });
    for i in 0..count {
        there.send(i).unwrap();
        replies.recv().await.unwrap();
    }
    drop(there);
    task.await.unwrap();
}

fn futures(workers: usize) -> f64 {
    let runtime = tokio_runtime::runtime(workers);
    timing::each_ns(|count| tokio_runtime::run(&runtime, oneshot_round_trips(count)))
}

fn queues(workers: usize) -> f64 {
    let runtime = tokio_runtime::runtime(workers);
    timing::each_ns(|count| tokio_runtime::run(&runtime, mpsc_round_trips(count)))
}

fn main() {
    timing::run_case(&[("futures", futures), ("queues", queues)]);
}
