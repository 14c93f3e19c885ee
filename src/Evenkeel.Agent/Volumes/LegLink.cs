using System.Diagnostics;
using System.Net.Security;
using Evenkeel.Core.Model;
using Evenkeel.Core.Volumes;
using Evenkeel.Raid.Nbd;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Agent.Volumes;

/// <summary>
/// Watches one leg for the writer: connects to its server under the writer's epoch, asks it for a sector now and then (a server that
/// hangs keeps its connection), and connects again. Data go over connections of their own.
/// </summary>
internal sealed class LegLink : IAsyncDisposable
{
    private static readonly TimeSpan Between = TimeSpan.FromMilliseconds(250);
    // Nobody waits for it but the backlog, and what is on its way may take that long over a slow line.
    private static readonly TimeSpan LaggingDeadline = TimeSpan.FromSeconds(30);
    private readonly WriterSettings _settings;
    private readonly NodeCertificate? _certificate;
    private readonly Action _changed;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _watching;
    private volatile string? _shown;

    public LegLink(WriterSettings settings, VolumeLeg leg, NodeCertificate? certificate, Action changed)
    {
        (_settings, Leg, _certificate, _changed) = (settings, leg, certificate, changed);
        _watching = Task.Run(WatchAsync);
    }

    public VolumeLeg Leg { get; }
    public bool IsLocal => Leg.Node == _settings.Node;
    /// <summary>Its server answers, and lets this writer in.</summary>
    public bool Answers { get; private set; }
    private bool _tried;
    /// <summary>Why not, when it does not.</summary>
    public string Problem { get; private set; } = "not reached yet";
    /// <summary>What it may have lost is not known: it is not used before it was put out and taken in anew.</summary>
    public bool Broken { get; set; }
    public bool IsUsable => Answers && !Broken;
    /// <summary>The same, or it has not been tried yet: a writer that just began must not call every leg lost.</summary>
    public bool Follows => (Answers || !_tried) && !Broken;

    /// <summary>
    /// A connection for data: the leg refuses from then on what an earlier one of this node had sent and the network still brings.
    /// Requests to the own leg have no time limit of their own: a slow disk is no reason to stop.
    /// </summary>
    /// <exception cref="IOException">It cannot be reached, or refuses.</exception>
    public async Task<NbdClient> ConnectForDataAsync()
    {
        try
        {
            // Grows also from one writer to the next: an epoch is of one guard's session, so of one boot of one node.
            return await ConnectAsync(Stopwatch.GetTimestamp()).ConfigureAwait(false);
        }
        catch (IOException refused) when (refused.Message.Contains("refuses", StringComparison.Ordinal))
        {
            // The leg's server is an older one, which outlived its agent's upgrade. Any other lets in by this name whoever reads.
            return await ConnectAsync(0).ConfigureAwait(false);
        }
    }

    /// <summary>
    /// The same for data that lag: they are carried out there in the order in which they are begun here, and none after one that failed.
    /// </summary>
    /// <exception cref="IOException">It cannot be reached, or refuses: as a server does that knows no such legs.</exception>
    public Task<NbdClient> ConnectLaggingAsync() => ConnectAsync(Stopwatch.GetTimestamp(), lags: true);

    private async Task<NbdClient> ConnectAsync(long connection, bool lags = false)
    {
        var name = Uri.EscapeDataString(LegName.Of(_settings.Volume.Name, _settings.Epoch, connection, lags));
        if (IsLocal)
        {
            return await NbdClient.ConnectAsync($"nbd+unix:///{name}?socket={Uri.EscapeDataString(_settings.LocalSocket)}", new NbdClientOptions { Deadline = TimeSpan.FromMinutes(5) }).ConfigureAwait(false);
        }

        IOException? failure = null;
        foreach (var address in _settings.Legs.First(place => place.Node == Leg.Node).Addresses)
        {
            try
            {
                var host = address.Contains(':', StringComparison.Ordinal) ? $"[{address}]" : address;
                return await NbdClient.ConnectAsync($"{(_certificate is null ? "nbd" : "nbds")}://{host}:{_settings.Volume.Port}/{name}", new NbdClientOptions
                {
                    Deadline = lags ? LaggingDeadline : _settings.Volume.LegTimeout,
                    ConnectDeadline = _settings.Volume.LegTimeout,
                    Reconnects = !lags,
                    Tls = Tls(),
                }).ConfigureAwait(false);
            }
            catch (IOException refused)
            {
                failure = refused;
            }
        }

        throw failure ?? new IOException($"{Leg.Node} has no private address");
    }

    /// <summary>What the leg says of itself: its record and its array's superblock; null where there is none.</summary>
    /// <exception cref="IOException"/>
    public async Task<(LegRecord? Record, MdSuperblock? Superblock)> LookAsync()
    {
        await using var client = await ConnectAsync(0).ConfigureAwait(false);
        var record = await LegRecord.ReadAsync(client).ConfigureAwait(false);
        var bytes = new byte[MdSuperblockCodec.MaximumBytes];
        await client.ReadAsync(MdSuperblockCodec.ByteOffset, bytes).ConfigureAwait(false);
        try
        {
            return (record, MdSuperblockCodec.IsPresent(bytes) ? MdSuperblockCodec.Read(bytes) : null);
        }
        catch (MdFormatException damaged)
        {
            throw new IOException(damaged.Message, damaged);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _watching.ConfigureAwait(false);
    }

    private async Task WatchAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await using var client = await ConnectAsync(0).ConfigureAwait(false);
                Set(true, "");
                await PingAsync(client).ConfigureAwait(false);
            }
            catch (IOException gone)
            {
                Set(false, gone.Message);
            }

            await Task.Delay(Between, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task PingAsync(IMemberDevice client)
    {
        var sector = new byte[512];
        while (!_stop.IsCancellationRequested)
        {
            if (_shown is { } serial && _certificate?.Revoked.NodeOf(serial) is not null)
            {
                // It counts as lost: the cluster puts the leg out, and with it the connections for data.
                throw new IOException($"the certificate of {Leg.Node} was revoked");
            }

            await client.ReadAsync(0, sector).ConfigureAwait(false);
            await Task.Delay(Between, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private SslClientAuthenticationOptions? Tls()
    {
        if (_certificate?.ClientOptions(Leg.Node, _ => { }) is not { } options)
        {
            return null;
        }

        var judge = options.RemoteCertificateValidationCallback!;
        options.RemoteCertificateValidationCallback = (sender, certificate, chain, errors) =>
        {
            _shown = certificate?.GetSerialNumberString();
            return judge(sender, certificate, chain, errors);
        };
        return options;
    }

    private void Set(bool answers, string problem)
    {
        if (answers == Answers && problem == Problem && _tried)
        {
            return;
        }

        (Answers, Problem, _tried) = (answers, problem, true);
        _changed();
    }
}
