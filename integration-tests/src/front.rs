//! An address that stays while the processes behind it are replaced, as a platform gives one to each service.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

use crate::process::Process;

/// The address; gone with the handle. A connection stays with the process that it led to when it was made.
#[derive(Debug)]
pub(crate) struct Front {
    address: SocketAddr,
    leads_to: watch::Sender<Option<String>>,
    _listening: AbortOnDropHandle<()>,
}

impl Front {
    /// An address that leads nowhere yet.
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (leads_to, behind) = watch::channel(None);
        let listening = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                // Where nobody is behind it the connection ends here.
                if let Some(process) = behind.borrow().clone() {
                    tokio::spawn(carry(near, process));
                }
            }
        });
        Self {
            address,
            leads_to,
            _listening: AbortOnDropHandle::new(listening),
        }
    }

    /// The address.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// New connections go to this process from now on.
    pub(crate) fn lead_to(&self, process: &Process) {
        let process = process.address().to_owned();
        self.leads_to.send_replace(Some(process));
    }
}

/// Carries one connection until both sides have ended it, or one is gone.
async fn carry(mut near: TcpStream, process: String) -> io::Result<()> {
    let mut far = TcpStream::connect(process).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    copy_bidirectional(&mut near, &mut far).await?;
    Ok(())
}
