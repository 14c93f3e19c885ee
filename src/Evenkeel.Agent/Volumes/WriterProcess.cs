using System.Collections.Concurrent;
using System.Net.Sockets;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.Core.Volumes;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.Raid.Array;
using Evenkeel.Raid.Nbd;

namespace Evenkeel.Agent.Volumes;

/// <summary>
/// The process that writes a volume, under the volume's lease: waits for the legs that it was told to wait for, runs the array over
/// them, mounts it, and keeps to the cluster's orders. Its guard kills it when the lease is over.
/// </summary>
public sealed class WriterProcess : IDisposable
{
    private static readonly TimeSpan Turn = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan FirstTurn = TimeSpan.FromMilliseconds(50);
    private readonly WriterSettings _settings;
    private readonly Action<string> _log;
    private readonly SemaphoreSlim _wake = new(0);
    private readonly TaskCompletionSource<string> _fatal = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Dictionary<NodeName, LegLink> _links = [];
    private readonly ConcurrentDictionary<NodeName, LegDevice> _opening = [];
    private LegArray? _array;
    private WriterOrder? _order;
    private WriterPhase _phase;
    private string _detail = "";

    private WriterProcess(WriterSettings settings, Action<string> log) => (_settings, _log) = (settings, log);

    /// <summary>Writes until <paramref name="stop"/>, then unmounts and stops in order.</summary>
    /// <returns>Null; or why it cannot go on, in words for the user.</returns>
    public static async Task<string?> RunAsync(WriterSettings settings, Action<string> log, CancellationToken stop)
    {
        using var process = new WriterProcess(settings, log);
        return await process.RunAsync(stop).ConfigureAwait(false);
    }

    public void Dispose() => _wake.Dispose();

    private async Task<string?> RunAsync(CancellationToken stop)
    {
        await using var control = new ReportSocket<WriterOrder, WriterReport>(_settings.ControlSocket, VolumeJson.Default.WriterOrder, VolumeJson.Default.WriterReport, order =>
        {
            if (order.Epoch != _settings.Epoch)
            {
                return;
            }

            _order = order;
            // Also what is only being opened may wait for a leg. In this order: an array that is open has its legs.
            foreach (var device in _opening.Values)
            {
                ReleaseOpening(device);
            }

            _array?.Release(order);
            Wake();
        });
        using var certificate = _settings.Certificates is { } directory ? NodeCertificate.Load(directory) : null;
        await using var follower = certificate is null ? null : new CertificateFollower(certificate, _log);
        _links = _settings.Volume.Legs.ToDictionary(leg => leg.Node, leg => new LegLink(_settings, leg, certificate, Wake));
        try
        {
            var (work, following, waking) = (WriteAsync(stop), Task.CompletedTask, Task.FromResult(true));
            while (!work.IsCompleted && !_fatal.Task.IsCompleted)
            {
                // Reports go on whatever waits: it may wait for what they bring about.
                control.Tell(Report());
                if (waking.IsCompleted)
                {
                    waking = _wake.WaitAsync(_array is null ? FirstTurn : Turn, CancellationToken.None);
                }

                await Task.WhenAny(work, _fatal.Task, waking).ConfigureAwait(false);
                if (following.IsCompleted && _array is { } array && _order is { } order)
                {
                    following = FollowAsync(array, order);
                }
            }

            // A failed leg of this node, a mount that is gone: whatever waits for it is never acknowledged.
            _detail = _fatal.Task.IsCompleted ? await _fatal.Task.ConfigureAwait(false) : await work.ConfigureAwait(false) ?? "";
            control.Tell(Report());
            return _detail.Length == 0 ? null : _detail;
        }
        finally
        {
            if (!_fatal.Task.IsCompleted)
            {
                foreach (var device in _opening.Values)
                {
                    device.Expel();
                }

                foreach (var link in _links.Values)
                {
                    await link.DisposeAsync().ConfigureAwait(false);
                }
            }
        }
    }

    private async Task FollowAsync(LegArray array, WriterOrder order)
    {
        try
        {
            await array.FollowAsync(order).ConfigureAwait(false);
            if (array.Array.IsBroken)
            {
                _fatal.TrySetResult("the array is broken: no leg that is left has everything");
            }
        }
        catch (ObjectDisposedException)
        {
            // The volume is being left: its array needs no members any more.
        }
        catch (Exception failure) when (failure is IOException or InvalidOperationException)
        {
            _log($"{_settings.Volume.Name}: {failure.Message}");
        }
    }

    /// <returns>Why it ended; null when it was asked to.</returns>
    private async Task<string?> WriteAsync(CancellationToken stop)
    {
        try
        {
            var made = await AssembleAsync(stop).ConfigureAwait(false);
            var array = _array!;
            await using (NbdServer.Start(Listening(), [new ArrayExport(array.Array, _settings.Volume.Name)]))
            {
                File.SetUnixFileMode(_settings.ExportSocket, UnixFileMode.UserRead | UnixFileMode.UserWrite);
                _phase = WriterPhase.Mounting;
                Wake();
                await using var mount = _settings.MountAt is { } at
                    ? await VolumeMount.AttachAsync(_settings.ExportSocket, _settings.Volume.Name, _settings.DeviceFile, at, _settings.Volume.FileSystem, made, _log, stop).ConfigureAwait(false) : null;
                _phase = WriterPhase.Mounted;
                _log($"{_settings.Volume.Name} is written here under {_settings.Epoch}, {(_settings.MountAt is { } where ? $"mounted at {where}" : "not mounted")}");
                Wake();
                var ended = mount?.Ended ?? Task.Delay(Timeout.Infinite, CancellationToken.None);
                if (await Task.WhenAny(ended, Task.Delay(Timeout.Infinite, stop)).ConfigureAwait(false) == ended)
                {
                    _fatal.TrySetResult("nbdfuse ended: the mount leads nowhere");
                }
            }

            await array.DisposeAsync().ConfigureAwait(false);
            return null;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return null;
        }
        catch (Exception failure) when (failure is IOException or LocalClusterException or SocketException or UnauthorizedAccessException)
        {
            return failure.Message;
        }
    }

    // The socket of a writer that was killed is nobody's.
    private UnixDomainSocketEndPoint Listening()
    {
        File.Delete(_settings.ExportSocket);
        return new UnixDomainSocketEndPoint(_settings.ExportSocket);
    }

    /// <returns>Whether the array is new, and has no file system.</returns>
    private async Task<bool> AssembleAsync(CancellationToken stop)
    {
        while (true)
        {
            stop.ThrowIfCancellationRequested();
            var order = _order;
            // What was put out may be taken in again, anew: by the array too that is opened without it in this turn.
            foreach (var link in _links.Values.Where(link => link.Broken && order?.Required.Contains(link.Leg.Node) == false))
            {
                link.Broken = false;
            }

            List<NodeName> waits = order is null ? [] : order.Required.Append(_settings.Node).Where(node => !_links[node].IsUsable).ToList();
            // A backlog ended with the writer before this one: as long as somebody may take over behind it, nothing may be written here.
            var held = order?.Held.Count > 0;
            if (order is not null && waits.Count == 0 && !held)
            {
                // A leg that hangs must not keep the writer from ending: what it has begun, the next one finds as after a kill.
                var (array, made, unfit) = await LegArray.OpenAsync(_settings, _links, order.Required, Opening, Wake, reason => _fatal.TrySetResult(reason), _log)
                    .WaitAsync(stop).ConfigureAwait(false);
                _array = array;
                _opening.Clear();
                if (array is not null)
                {
                    return made;
                }

                // Reported as not following, it will be put out.
                _links[unfit!.Value].Broken = true;
                Wake();
            }

            _detail = order is null ? "waits for its first order" : held ? $"waits until nobody may take over on the leg of {string.Join(", ", order.Held)}" : $"waits for {string.Join(", ", waits.Select(node => $"the leg of {node} ({_links[node].Problem})"))}";
            await Task.Delay(FirstTurn, stop).ConfigureAwait(false);
        }
    }

    private void Opening(LegDevice device)
    {
        _opening[device.Node] = device;
        // The order may have come before it was there.
        ReleaseOpening(device);
    }

    private void ReleaseOpening(LegDevice device)
    {
        if (!device.IsLocal && _order?.Required.Contains(device.Node) == false)
        {
            device.Expel();
        }
    }

    private WriterReport Report()
    {
        var array = _array;
        var report = array?.Report;
        return new WriterReport
        {
            Phase = _phase,
            Required = array?.Applied ?? _order?.Required ?? [],
            Synchronous = array?.Synchronous ?? [],
            Followers = [.. _links.Values.Where(link => link is { IsLocal: false, Follows: true }).Select(link => link.Leg.Node).Order()],
            Asynchronous = array?.Asynchronous ?? [],
            Data = _phase == WriterPhase.Mounted ? array!.Data : null,
            Activity = report?.Activity ?? "idle",
            DoneBytes = report?.DoneBytes ?? 0,
            TotalBytes = report?.TotalBytes ?? 0,
            Verified = array?.Verified ?? 0,
            Mismatches = report?.Mismatches,
            Frozen = array?.Frozen ?? _opening.Values.Sum(device => device.Waiting),
            Detail = _phase == WriterPhase.Mounted && !_fatal.Task.IsCompleted ? "" : _detail,
        };
    }

    private void Wake()
    {
        if (_wake.CurrentCount < 4)
        {
            _wake.Release();
        }
    }
}
