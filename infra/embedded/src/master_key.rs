//! The platform's master key in a file of the data directory, for running without a key vault.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use coder_core::Ambient;
use data_encoding::HEXLOWER;

/// The file's name in the data directory.
const FILE: &str = "master.key";

/// Reads the 32-byte key in `<directory>/master.key`, or makes one that only this user can read. Whoever loses
/// the file loses everything that was encrypted. Safe when several processes start at once: all get one key.
pub fn master_key_file(directory: &Path, ambient: &Ambient) -> io::Result<[u8; 32]> {
    let path = directory.join(FILE);
    match read(&path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => {
            create(directory, &path, ambient)?;
            read(&path)
        }
        outcome => outcome,
    }
}

fn read(path: &Path) -> io::Result<[u8; 32]> {
    let text = fs::read_to_string(path)?;
    refuse_shared(path)?;
    let key = HEXLOWER.decode(text.trim_end().as_bytes()).ok().and_then(|key| key.try_into().ok());
    key.ok_or_else(|| {
        let hint = format!("`{}` must hold 64 hexadecimal digits: restore the original", path.display());
        io::Error::new(ErrorKind::InvalidData, hint)
    })
}

/// A complete file appears under its name, or none; whoever comes second keeps the first one's.
fn create(directory: &Path, path: &Path, ambient: &Ambient) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let draft = directory.join(format!("{FILE}.{}", HEXLOWER.encode(&ambient.random::<8>())));
    let written =
        write(&draft, &HEXLOWER.encode(&ambient.random::<32>())).and_then(|()| {
            match fs::hard_link(&draft, path) {
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Ok(()),
                outcome => outcome,
            }
        });
    fs::remove_file(&draft)?;
    written?;
    // The name must survive a power cut as well as the content.
    File::open(directory)?.sync_all()
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

#[cfg(unix)]
fn refuse_shared(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let of_others = fs::metadata(path)?.permissions().mode() & 0o077;
    if of_others == 0 {
        return Ok(());
    }
    let hint = format!("others can read `{0}`: run `chmod 600 {0}`", path.display());
    Err(io::Error::new(ErrorKind::PermissionDenied, hint))
}

#[cfg(not(unix))]
fn refuse_shared(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn all_who_start_at_once_get_one_key_and_leave_one_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        let keys: Vec<[u8; 32]> = thread::scope(|scope| {
            let start = || scope.spawn(|| master_key_file(&path, &Ambient::system()).unwrap());
            let started: Vec<_> = (0..8).map(|_| start()).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0] && *key != [0; 32]));
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_or_shared_file_is_refused_and_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        write(&path, "abc").unwrap();
        let key = || master_key_file(directory.path(), &Ambient::system());
        assert_eq!(key().unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(fs::read_to_string(&path).unwrap(), "abc\n");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            assert_eq!(key().unwrap_err().kind(), ErrorKind::PermissionDenied);
        }
    }
}
