using Evenkeel.Raid.Array;
using Evenkeel.Raid.Devices;

namespace Evenkeel.Raid.Hosting;

/// <summary>
/// What a running array needs beside its clients: bits settled, resync, rebuild and scrubs done as they become due, and orders of its
/// operator carried out. A member change interrupts a scrub, which then begins anew.
/// </summary>
public sealed class ArrayHost(RaidArray array, string uri, Func<string, Task<IMemberDevice>> open, Action<string> log) : IDisposable
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(5);
    private readonly SemaphoreSlim _wake = new(0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private CancellationTokenSource? _scrubbing;
    private bool? _wanted; // a scrub to do: false = check, true = repair
    private string _activity = "idle";
    private SyncProgress _progress;
    private long? _mismatches;

    /// <summary>The array and what is done to it.</summary>
    public ArrayReport Report()
    {
        lock (_gate) return ArrayReport.Of(array, uri, _wanted is { } repair && _activity == "idle" ? Word(repair) : _activity, _progress, _mismatches);
    }

    /// <summary>Returns when an order or the token says stop. The array is stopped by its owner.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stop, _stop.Token);
        try
        {
            while (true)
            {
                await WorkAsync(ending.Token).ConfigureAwait(false);
                await _wake.WaitAsync(Every, ending.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            // Asked to stop.
        }
    }

    /// <summary>Carries an order out and answers; never throws for what an operator or a device can cause.</summary>
    public async Task<HostAnswer> ObeyAsync(HostOrder order)
    {
        try
        {
            await ActAsync(order).ConfigureAwait(false);
            return new HostAnswer(null, false, Report());
        }
        catch (Exception e) when (e is IOException or ArgumentException or InvalidOperationException or FormatException
            or Superblock.MdFormatException or UnauthorizedAccessException)
        {
            return new HostAnswer(e.Message, e is ArrayBrokenException or InvalidOperationException, Report());
        }
    }

    public void Dispose()
    {
        _wake.Dispose();
        _stop.Dispose();
    }

    private async Task ActAsync(HostOrder order)
    {
        switch (order.Do)
        {
            case "status": return;
            case "add": await AddAsync(order).ConfigureAwait(false); break;
            case "fail": await array.FailAsync(Find(order)).ConfigureAwait(false); break;
            case "remove": await array.RemoveAsync(Find(order)).ConfigureAwait(false); break;
            case "replace":
                var old = Find(order);
                await array.ReplaceAsync(old, order.Device is null ? null : await AddAsync(order).ConfigureAwait(false)).ConfigureAwait(false);
                break;
            case "check" or "repair":
                lock (_gate) (_wanted, _mismatches) = (order.Do == "repair", null);
                break;
            case "interrupt":
                lock (_gate) _wanted = null;
                break;
            case "limit":
                if (order.BytesPerSecond is <= 0) throw new ArgumentException("A limit is at least one byte a second; leave it out to lift it.");
                array.SyncBytesPerSecond = order.BytesPerSecond;
                return;
            case "stop": await _stop.CancelAsync().ConfigureAwait(false); return;
            default: throw new ArgumentException($"'{order.Do}' is no order.");
        }

        // A scrub has to look at the members as they are now; a rebuild goes before it.
        lock (_gate) _scrubbing?.Cancel();
        _wake.Release();
    }

    private async Task<ArrayMember> AddAsync(HostOrder order)
    {
        var name = order.Device ?? throw new ArgumentException("Which device?");
        if (array.Members.Any(member => member.Device.Name == name && member.State != MemberState.Faulty))
            throw new ArgumentException($"{name} is a member already.");
        var device = await open(name).ConfigureAwait(false);
        try
        {
            return await array.AddAsync(device).ConfigureAwait(false);
        }
        catch
        {
            await device.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private ArrayMember Find(HostOrder order)
    {
        var wanted = order.Member ?? throw new ArgumentException("Which member?");
        var found = array.Members.Where(member => member.Device.Name == wanted
            || int.TryParse(wanted, out var slot) && member.Slot == slot && !member.IsReplacement).ToArray();
        return found.Length > 0 ? found[0] : throw new ArgumentException($"{wanted} is no member of {array.Name}.");
    }

    private async Task WorkAsync(CancellationToken stop)
    {
        try
        {
            if (array.IsBroken) return;
            await DuringAsync("resync", progress => array.ResyncAsync(progress, stop)).ConfigureAwait(false);
            await DuringAsync("rebuild", progress => array.RebuildAsync(progress, stop)).ConfigureAwait(false);
            await ScrubAsync(stop).ConfigureAwait(false);
            await array.SettleAsync().ConfigureAwait(false);
        }
        catch (IOException e)
        {
            log($"{array.Name}: {e.Message}");
        }
    }

    private async Task ScrubAsync(CancellationToken stop)
    {
        using var scrubbing = CancellationTokenSource.CreateLinkedTokenSource(stop);
        bool repair;
        lock (_gate)
        {
            if (_wanted is not { } wanted) return;
            (repair, _scrubbing) = (wanted, scrubbing);
        }

        try
        {
            await DuringAsync(Word(repair), async progress =>
            {
                var found = await array.ScrubAsync(repair, progress, scrubbing.Token).ConfigureAwait(false);
                lock (_gate) (_mismatches, _wanted) = (found, null);
            }).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            // Interrupted by an order; if the scrub is still wanted it begins anew.
        }
        finally
        {
            lock (_gate) _scrubbing = null;
        }
    }

    private async Task DuringAsync(string activity, Func<IProgress<SyncProgress>, Task> work)
    {
        try
        {
            await work(new Reporter(progress =>
            {
                lock (_gate) (_activity, _progress) = (activity, progress);
            })).ConfigureAwait(false);
        }
        finally
        {
            lock (_gate) (_activity, _progress) = ("idle", default);
        }
    }

    private static string Word(bool repair) => repair ? "repair" : "check";

    private sealed class Reporter(Action<SyncProgress> report) : IProgress<SyncProgress>
    {
        public void Report(SyncProgress value) => report(value);
    }
}
