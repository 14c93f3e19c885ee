namespace Evenkeel.PrivateConnection.Certificates;

/// <summary>
/// Keeps a <see cref="NodeCertificate"/> as another process writes its files: the agent renews it, trusts other authorities, and
/// revokes. Looks at the files' times once a second; what cannot be read leaves what it was in use, and is tried again.
/// </summary>
public sealed class CertificateFollower : IAsyncDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);
    private static readonly string[] files = [NodeCertificate.AuthorityFile, NodeCertificate.CertificateFile, NodeCertificate.KeyFile, RevocationList.OwnFile];
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _work;

    /// <param name="log">Told what cannot be read.</param>
    public CertificateFollower(NodeCertificate certificate, Action<string> log) => _work = Task.Run(() => FollowAsync(certificate, log));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _work.ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task FollowAsync(NodeCertificate certificate, Action<string> log)
    {
        // Nothing seen yet: it may have changed since it was loaded.
        var (seen, failures) = ("", 0);
        while (!_stop.IsCancellationRequested)
        {
            // Taken before reading, so that what changes meanwhile is read again.
            var found = string.Join(' ', files.Select(file => new FileInfo(Path.Combine(certificate.Directory, file))).Select(file => file.Exists ? $"{file.LastWriteTimeUtc.Ticks}:{file.Length}" : "-"));
            if (found != seen)
            {
                try
                {
                    certificate.Refresh();
                    (seen, failures) = (found, 0);
                }
                catch (InvalidDataException exception)
                {
                    // Once is nothing: key and certificate are two files, which change one after the other.
                    if (++failures == 2)
                    {
                        log(exception.Message);
                    }
                }
            }

            await Task.Delay(Period, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
