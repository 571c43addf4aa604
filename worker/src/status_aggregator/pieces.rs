//! Files of learning jobs, piece by piece, for the session that has the job.

use shared::computation::FileKind;
use shared::job::Fence;
use shared::message::{self, ToSession};
use shared::store;

use super::Aggregator;

impl Aggregator {
    /// Answers with a piece of an uploaded file, or with word that the session lost its job.
    pub(super) async fn fetch(
        &self,
        fence: Fence,
        reply_to: &str,
        file: FileKind,
        piece: u32,
    ) -> Result<(), store::Error> {
        match self.store.fetch(fence, file, piece).await? {
            Some(sealed) => {
                let answer = ToSession::Piece {
                    fence,
                    file,
                    piece,
                    sealed,
                };
                self.answer(fence, reply_to, &answer).await;
            }
            None => self.dismiss(fence, reply_to).await,
        }
        Ok(())
    }

    /// Keeps a piece of a file that the session made, or tells it that it lost its job.
    pub(super) async fn keep(
        &self,
        fence: Fence,
        reply_to: &str,
        file: FileKind,
        piece: u32,
        sealed: Vec<u8>,
    ) -> Result<(), store::Error> {
        if self.store.keep(fence, file, piece, sealed).await? {
            let answer = ToSession::Kept { fence, file, piece };
            self.answer(fence, reply_to, &answer).await;
        } else {
            self.dismiss(fence, reply_to).await;
        }
        Ok(())
    }

    /// A session that misses an answer asks again.
    async fn answer(&self, fence: Fence, reply_to: &str, answer: &ToSession) {
        if let Err(error) = self.bus.publish(reply_to, message::encode(answer)).await {
            tracing::debug!(job = %fence.job, %error, "an answer about a piece did not arrive");
        }
    }
}
