using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Evenkeel.Core.Model;
using Evenkeel.Core.Volumes;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.Raid.Nbd;

namespace Evenkeel.Agent.Volumes;

/// <summary>The process that serves a node's leg of a volume: over mutual TLS to writers on other nodes, over a Unix socket to its own.</summary>
public static class LegProcess
{
    private static readonly TimeSpan TakeOverPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <summary>Serves until <paramref name="stop"/>. What stands in the way is reported, and tried again.</summary>
    public static async Task RunAsync(LegSettings settings, Action<string> log, CancellationToken stop)
    {
        LegOrder? last = null;
        using var wake = new SemaphoreSlim(0);
        await using var control = new ReportSocket<LegOrder, LegReport>(settings.ControlSocket, VolumeJson.Default.LegOrder, VolumeJson.Default.LegReport, told =>
        {
            last = told;
            wake.Release();
        });
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await ServeAsync(settings, control, () => last, wake, log, stop).ConfigureAwait(false);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or SocketException or InvalidDataException)
            {
                log($"leg {settings.Path} of {settings.Volume}: {failure.Message}");
                control.Tell(new LegReport { Problem = failure.Message });
                await Task.Delay(TimeSpan.FromSeconds(1), stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private static async Task ServeAsync(
        LegSettings settings, ReportSocket<LegOrder, LegReport> control, Func<LegOrder?> order, SemaphoreSlim wake, Action<string> log, CancellationToken stop)
    {
        using var certificate = settings.Certificates is { } directory ? NodeCertificate.Load(directory) : null;
        await using var follower = certificate is null ? null : new CertificateFollower(certificate, log);
        await using var desk = await OpenAsync(settings, stop).ConfigureAwait(false);
        void Wake() => wake.Release();
        var refusals = new LegRefusals(Wake);
        desk.Changed += Wake;
        certificate?.Changed += Wake;
        async Task<INbdExport?> AdmitAsync(X509Certificate? client, string name, CancellationToken token)
        {
            if (!LegName.TryParse(name, out var volume, out var epoch, out var connection, out var lags) || volume != settings.Volume)
            {
                return null;
            }

            var node = client is null ? (NodeName?)null : NodeCertificate.NameOf(client);
            // An epoch counts for good: named by a node that has no leg, and so never writes, it would shut the writer out.
            var (export, refusal) = node is { } asks && (order() is not { } said || said.Writers?.Contains(asks) == false)
                ? (null, order() is null ? "the agent has not said yet who may write" : "it has no leg of the volume")
                : await desk.AdmitAsync(epoch, connection, lags, token).ConfigureAwait(false);
            if (refusal is not null)
            {
                log($"leg of {settings.Volume}: refused {node?.Value ?? "this node"}: {refusal}");
            }

            return export;
        }

        var local = new NbdServerOptions { Admit = AdmitAsync };
        var remote = certificate is null ? local : local with
        {
            TlsOf = from => certificate.ServerOptions(reason =>
            {
                log($"leg of {settings.Volume}: refused {from}: {reason}");
                refusals.Add(from, reason);
            }),
        };
        File.Delete(settings.LocalSocket);
        var servers = new List<NbdServer> { NbdServer.Start(new UnixDomainSocketEndPoint(settings.LocalSocket), [], local) };
        try
        {
            File.SetUnixFileMode(settings.LocalSocket, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            foreach (var address in settings.Addresses)
            {
                servers.Add(NbdServer.Start(new IPEndPoint(IPAddress.Parse(address), settings.Port), [], remote));
            }

            log($"leg {settings.Path} of {settings.Volume} is served, written last under {desk.Record.Epoch}");
            while (!stop.IsCancellationRequested)
            {
                if (order()?.Data is { } data)
                {
                    await desk.SettleAsync(data, stop).ConfigureAwait(false);
                }

                // At each turn: a handshake may have been under way while its certificate was revoked.
                foreach (var server in servers)
                {
                    server.Break(client => certificate?.Revoked.NodeOf(client.SerialNumber) is not null);
                }

                control.Tell(await desk.ReportAsync().ConfigureAwait(false) with { Refused = refusals.Last });
                await wake.WaitAsync(TimeSpan.FromSeconds(5), stop).ConfigureAwait(false);
                await Task.Delay(Pause, stop).ConfigureAwait(false); // Metadata changes come in bursts.
                while (wake.CurrentCount > 0)
                {
                    await wake.WaitAsync(stop).ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Asked to stop.
        }
        finally
        {
            desk.Changed -= Wake;
            certificate?.Changed -= Wake;
            foreach (var server in servers)
            {
                await server.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    // A predecessor that was just killed may hold the device, or the port, for a moment.
    private static async Task<LegDesk> OpenAsync(LegSettings settings, CancellationToken stop)
    {
        for (var until = DateTime.UtcNow + TakeOverPatience; ; await Task.Delay(Pause, stop).ConfigureAwait(false))
        {
            try
            {
                return await LegDesk.OpenAsync(settings).ConfigureAwait(false);
            }
            catch (IOException busy) when (DateTime.UtcNow < until && (busy.Message.Contains("used by another process", StringComparison.Ordinal) || busy.Message.Contains("is in use", StringComparison.Ordinal)))
            {
                // Tried again.
            }
        }
    }
}
