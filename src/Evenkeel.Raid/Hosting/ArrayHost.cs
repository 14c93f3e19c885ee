using Evenkeel.Raid.Array;
using Evenkeel.Raid.Devices;

namespace Evenkeel.Raid.Hosting;

/// <summary>
/// What a running array needs beside its clients: bits settled, resync, rebuild and scrubs done as they become due, and orders of its
/// operator carried out. A member change interrupts a scrub, which then begins anew.
/// </summary>
public sealed class ArrayHost(
    RaidArray array, string uri, Func<string, Task<IMemberDevice>> open, Action<string> log, HostOptions? options = null) : IDisposable
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(5);
    private readonly HostOptions _options = options ?? new HostOptions();
    private readonly ScrubMemory _memory = new(options?.ScrubFile, array);
    private readonly SemaphoreSlim _wake = new(0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private CancellationTokenSource? _scrubbing;
    private bool? _wanted; // a scrub to do: false = check, true = repair
    private ScrubPoint _from;
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
        if (_memory.Load() is { } unfinished)
            lock (_gate) (_wanted, _from) = (unfinished.Repair, new ScrubPoint(unfinished.Sector, unfinished.Mismatches));
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
            var lent = order.Do == "lend" ? await LendAsync(order).ConfigureAwait(false) : null;
            if (order.Do != "lend") await ActAsync(order).ConfigureAwait(false);
            return new HostAnswer(null, false, Report(), lent);
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
                lock (_gate) (_wanted, _mismatches, _from) = (order.Do == "repair", null, default);
                break;
            case "interrupt":
                lock (_gate) _wanted = null;
                _memory.Clear();
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

    // An array that is whole can wait for its next spare; one that is not keeps what it has.
    private async Task<string> LendAsync(HostOrder order)
    {
        if (_options.SpareGroup is null || _options.SpareGroup != order.Group) throw new ArgumentException($"{array.Name} is not of the group '{order.Group}'.");
        if (array.IsDegraded || array.IsBroken) throw new ArgumentException($"{array.Name} needs its spares itself.");
        var spare = array.Members.FirstOrDefault(member => member.State == MemberState.Spare && member.Device.Length >= order.Bytes)
            ?? throw new ArgumentException($"{array.Name} has no spare of {order.Bytes} bytes.");
        await array.RemoveAsync(spare).ConfigureAwait(false);
        log($"{array.Name}: lent its spare {spare.Device.Name} to another array of the group '{order.Group}'");
        return spare.Device.Name;
    }

    private async Task BorrowAsync(CancellationToken stop)
    {
        if (_options.Borrow is not { } borrow || _options.SpareGroup is null || !array.IsDegraded) return;
        if (array.Members.Any(member => member.State is MemberState.Spare or MemberState.Rebuilding)) return;
        if (await borrow(array.LeastDeviceBytes, stop).ConfigureAwait(false) is not { } device) return;
        log($"{array.Name}: borrowed the spare {device}");
        await AddAsync(new HostOrder("add", Device: device)).ConfigureAwait(false);
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
            await BorrowAsync(stop).ConfigureAwait(false);
            await DuringAsync("resync", progress => array.ResyncAsync(progress, stop)).ConfigureAwait(false);
            await DuringAsync("rebuild", progress => array.RebuildAsync(progress, stop)).ConfigureAwait(false);
            await ScrubAsync(stop).ConfigureAwait(false);
            await array.SettleAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or ArgumentException)
        {
            // What is no device's fault is a fault of ours: where it came from is worth more than its words.
            log($"{array.Name}: {(e is IOException ? e.Message : e.ToString())}");
        }
    }

    private async Task ScrubAsync(CancellationToken stop)
    {
        using var scrubbing = CancellationTokenSource.CreateLinkedTokenSource(stop);
        bool repair;
        ScrubPoint from;
        lock (_gate)
        {
            if (_wanted is not { } wanted) return;
            (repair, from, _scrubbing) = (wanted, _from, scrubbing);
        }

        try
        {
            await DuringAsync(Word(repair), async progress =>
            {
                var found = await array.ResumeScrubAsync(repair, from, point => _memory.Save(repair, point), progress, scrubbing.Token).ConfigureAwait(false);
                _memory.Clear();
                lock (_gate) (_mismatches, _wanted, _from) = (found, null, default);
            }).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            // Interrupted by an order; if the scrub is still wanted it begins anew: the members are others now.
            _memory.Clear();
            lock (_gate) _from = default;
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
