//! Files that the group keeps: a bucket of chunks each, with the hash of every chunk.

use axum::body::{Body, Bytes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coder_core::{Failure, Result, Timestamp};
use coder_database::{Partition, Query, Transaction};
use coder_handler::Invocation;

use super::Logging;
use crate::chain::{hex, sha256};
use crate::model::{CONTAINER, Chunk, Trail};

/// Bytes of a chunk; with Base64 and its fields it stays below a megabyte.
pub const CHUNK_BYTES: usize = 700_000;

/// The bucket of a file.
pub fn bucket(trail: Trail, name: &str) -> Partition {
    trail.all().bucket(format!("file-{name}"))
}

impl Logging {
    /// Writes a chunk; a repeat writes the same again.
    pub(crate) async fn write_chunk(
        &self,
        partition: &Partition,
        number: u32,
        bytes: &[u8],
        expires_at: Option<Timestamp>,
    ) -> Result<()> {
        let chunk = Chunk { data: STANDARD.encode(bytes), sha256: hex(&sha256(&[bytes])) };
        let mut transaction = self.own_transaction(partition.clone());
        let mut record = transaction.record(Chunk::document_id(number), chunk);
        record.expires_at = expires_at;
        transaction.upsert(&record)?;
        self.commit_own(transaction).await
    }

    /// The bytes of a chunk; a fault of ours if they are not what was written.
    async fn read_chunk(&self, partition: &Partition, number: u32) -> Result<Bytes> {
        let chunk = self.chunks.get(partition, &Chunk::document_id(number)).await?.data;
        let bytes = STANDARD.decode(&chunk.data).map_err(Failure::internal)?;
        if hex(&sha256(&[&bytes])) != chunk.sha256 {
            return Err(Failure::internal(format!("chunk {number} is not what was written")));
        }
        Ok(bytes.into())
    }

    /// The file as a stream. A chunk that cannot be read breaks the stream off.
    pub(crate) fn file(&self, partition: Partition, chunks: u32) -> Body {
        let next = move |(service, number): (Self, u32)| {
            let partition = partition.clone();
            async move {
                if number >= chunks {
                    return Ok(None);
                }
                let bytes =
                    service.read_chunk(&partition, number).await.map_err(|failure| failure.to_string())?;
                Ok::<_, String>(Some((bytes, (service, number + 1))))
            }
        };
        Body::from_stream(futures_util::stream::try_unfold((self.clone(), 0), next))
    }

    /// Removes every document of a bucket, at most 90 at a time.
    pub(crate) async fn remove_bucket(&self, run: &Invocation, partition: &Partition) -> Result<()> {
        loop {
            let query = Query::new(None).limit(90);
            let page = self.runtime.store.query(CONTAINER, &partition.key(), &query).await?;
            // Events on their way go by themselves.
            let going: Vec<_> = page.items.iter().filter(|one| one.body["type"] != "outbox").collect();
            if going.is_empty() {
                return Ok(());
            }
            let mut transaction: Transaction = run.begin(CONTAINER, partition.clone()).without_audit();
            for document in going {
                let (id, if_match) = (document.id.clone(), None);
                transaction.push(coder_database::Operation::Delete { id, if_match });
            }
            match run.commit(transaction).await {
                // Somebody else removes too.
                Ok(()) | Err(Failure::Stale) => {}
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// Cuts what is written into chunks.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    ready: Vec<Vec<u8>>,
    open: Vec<u8>,
}

impl Chunks {
    /// Adds bytes; answers whether a chunk is full.
    pub(crate) fn add(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let room = CHUNK_BYTES - self.open.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.open.extend_from_slice(now);
            if self.open.len() == CHUNK_BYTES {
                self.ready.push(std::mem::take(&mut self.open));
            }
            bytes = later;
        }
        !self.ready.is_empty()
    }

    /// Full chunks.
    pub(crate) fn full(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.ready)
    }

    /// What is left at the end.
    pub(crate) fn rest(self) -> Option<Vec<u8>> {
        Some(self.open).filter(|open| !open.is_empty())
    }
}
