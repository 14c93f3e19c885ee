namespace Evenkeel.Raid.Devices;

/// <summary>
/// A device that is written later: a write returns once it is queued, a flush at once, and both are carried out in the order in which
/// they came. So the device below is always as it was at some moment of the past, and a flush stays the barrier that it was. What it
/// lacks is bounded, memory too. When there is no room left, or the device below fails, it has fallen behind for good: it keeps what it
/// has, and further calls fail, so that the array ejects it (and takes another in over the same leg, by the bitmap).
/// </summary>
/// <remarks>
/// While somebody may take over on the device below, no write may return that would make it lack more than the bound. So while it is
/// <see cref="Hold">held</see>, one that has fallen behind lets writes return up to the bound, and then none until it is released: until
/// all know that nobody takes over there any more.
/// </remarks>
public sealed class BacklogDevice : IMemberDevice
{
    // On their way at once: enough for 40 MB/s over a line of 50 ms, and answered within the deadline of a request over one of 1 Mbit/s.
    private const int WindowBytes = 2 << 20, WindowRequests = 512;
    private static readonly TimeSpan DrainPatience = TimeSpan.FromSeconds(5);
    private readonly IMemberDevice _inner;
    private readonly long _limit;
    private readonly bool _blocks;
    private readonly Action _changed;
    private readonly TimeProvider _time;
    private readonly BacklogRing _ring;
    private readonly Lock _gate = new();
    private readonly Queue<Entry> _queue = [];
    private readonly Queue<(Entry Entry, Task Ended)> _sent = [];
    private readonly List<(long Bytes, TaskCompletionSource Reached)> _waiting = [];
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _pumping;
    private Entry _sending; // taken from the queue, not yet begun below
    private TaskCompletionSource _work = New(), _progress = New();
    // Bytes of writes since the begin: accepted, carried out below, surely durable there. What is accepted after the fall is counted in lost.
    private long _accepted, _applied, _durable, _lost;
    private long _window;
    private long _flushed; // bytes accepted before the flush that was queued last
    private int _frozen;
    private bool _held, _closing;
    private long? _oldest; // of what was not carried out when it fell
    private string? _behind;

    /// <summary>A write, or a flush without data. <paramref name="End"/>: bytes accepted with it.</summary>
    private readonly record struct Entry(long Offset, Memory<byte> Data, int Taken, long End, long At)
    {
        public bool IsFlush => Data.Length == 0;
    }

    /// <param name="name">How people know it.</param>
    /// <param name="inner">Carries requests out in the order in which they were begun, and none after one that failed; closed with this one.</param>
    /// <param name="limit">Bytes, 1 MiB to 1 GiB: the most that the device below may lack of what was acknowledged, and what the queue may hold.</param>
    /// <param name="blocks">Whether a write waits where there is no room, as long as the device below gets on, instead of leaving it behind.</param>
    /// <param name="changed">Told, on any thread, when it falls behind, and when calls begin to wait for its release.</param>
    public BacklogDevice(string name, IMemberDevice inner, long limit, bool blocks, Action changed, TimeProvider? time = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1 << 20);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(limit, 1 << 30);
        (Name, _inner, _limit, _blocks, _changed, _time, _ring) = (name, inner, limit, blocks, changed, time ?? TimeProvider.System, new BacklogRing((int)limit));
        _pumping = Task.Run(PumpAsync);
    }

    public string Name { get; }

    public long Length => _inner.Length;

    public bool Lags => true;

    /// <summary>Bytes of acknowledged writes that the device below does not have; of one that fell behind, those of the time of its fall and up to the bound.</summary>
    public long BacklogBytes
    {
        get
        {
            lock (_gate) return _accepted - _applied + _lost;
        }
    }

    /// <summary>How long the oldest write that the device below lacks has been acknowledged; zero when it lacks none.</summary>
    public TimeSpan Age
    {
        get
        {
            lock (_gate) return Oldest() is { } at ? _time.GetElapsedTime(at) : TimeSpan.Zero;
        }
    }

    /// <summary>Why it has fallen behind; null while it has not.</summary>
    public string? Behind
    {
        get
        {
            lock (_gate) return _behind;
        }
    }

    /// <summary>Calls that wait for its release.</summary>
    public int Frozen => Volatile.Read(ref _frozen);

    /// <summary>Whether it is held.</summary>
    public bool IsHeld
    {
        get
        {
            lock (_gate) return _held;
        }
    }

    /// <summary>Somebody may take over on the device below from now on, until <see cref="Release"/>. Nothing for one that has fallen behind.</summary>
    public void Hold()
    {
        lock (_gate) _held |= _behind is null;
    }

    /// <summary>Nobody takes over on the device below any more: what waits goes on.</summary>
    public void Release()
    {
        lock (_gate)
        {
            _held = false;
            if (_behind is null) return;
        }

        _released.TrySetResult();
    }

    /// <summary>Nothing more is carried out below, and nobody takes over there.</summary>
    public void Abandon(string reason)
    {
        FallBehind(reason);
        Release();
    }

    public async ValueTask ReadAsync(long offset, Memory<byte> buffer)
    {
        await DurableAsync().ConfigureAwait(false);
        await _inner.ReadAsync(offset, buffer).ConfigureAwait(false);
    }

    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
    {
        while (true)
        {
            Task? room = null;
            lock (_gate)
            {
                if (_behind is not null) break;
                if (TryQueue(offset, buffer)) return;
                if (_blocks && _accepted > _durable) room = _progress.Task;
            }

            if (room is null) FallBehind("its backlog is full");
            else await room.ConfigureAwait(false);
        }

        lock (_gate)
        {
            // Whoever takes over there was told that it may lack as much.
            if (_held && _accepted - _durable + _lost + buffer.Length <= _limit)
            {
                _lost += buffer.Length;
                return;
            }
        }

        if (IsHeld)
        {
            Interlocked.Increment(ref _frozen);
            _changed();
            await _released.Task.ConfigureAwait(false);
            Interlocked.Decrement(ref _frozen);
        }

        throw Failure();
    }

    public ValueTask FlushAsync()
    {
        lock (_gate)
        {
            if (_behind is null) QueueFlush();
            else if (!_held) throw Failure();
        }

        return default;
    }

    public Task DurableAsync()
    {
        lock (_gate)
        {
            if (_behind is not null) return Task.FromException(Failure());
            if (_durable == _accepted) return Task.CompletedTask;
            var reached = New();
            _waiting.Add((_accepted, reached));
            QueueFlush();
            return reached.Task;
        }
    }

    /// <summary>Half of the room is left to clients.</summary>
    public async ValueTask RoomAsync(CancellationToken stop)
    {
        while (true)
        {
            Task progress;
            lock (_gate)
            {
                if (_behind is not null || _accepted - _durable <= _limit / 2) return;
                // What has been carried out takes room until it is durable.
                QueueFlush();
                progress = _progress.Task;
            }

            await progress.WaitAsync(stop).ConfigureAwait(false);
        }
    }

    /// <summary>What is queued is given some seconds; the rest the bitmap names.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            if (_closing) return;
            _closing = true;
        }

        try
        {
            await DurableAsync().WaitAsync(DrainPatience, _time).ConfigureAwait(false);
        }
        catch (Exception late) when (late is IOException or TimeoutException)
        {
            // As after a cut.
        }

        Abandon("it was closed");
        // Ends what is on its way: only then the memory may go.
        await _inner.DisposeAsync().ConfigureAwait(false);
        await _pumping.ConfigureAwait(false);
        ((IDisposable)_ring).Dispose();
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private IOException Failure() => new($"{Name} has fallen behind: {_behind}");

    private long? Oldest() => _behind is not null ? _oldest
        : _sent.Select(sent => sent.Entry).Append(_sending).Concat(_queue).Where(entry => !entry.IsFlush).Select(entry => (long?)entry.At).FirstOrDefault();

    private bool TryQueue(long offset, ReadOnlyMemory<byte> buffer)
    {
        if (_accepted - _durable + buffer.Length > _limit || !_ring.TryTake(buffer.Length, out var piece, out var taken)) return false;
        buffer.CopyTo(piece);
        _accepted += buffer.Length;
        _queue.Enqueue(new Entry(offset, piece, taken, _accepted, _time.GetTimestamp()));
        _work.TrySetResult();
        return true;
    }

    // Of two flushes with no write between them the first says nothing more.
    private void QueueFlush()
    {
        if (_flushed == _accepted) return;
        _flushed = _accepted;
        _queue.Enqueue(new Entry(0, default, 0, _accepted, 0));
        _work.TrySetResult();
    }

    private void FallBehind(string reason)
    {
        lock (_gate)
        {
            if (_behind is not null) return;
            _oldest = Oldest();
            _behind = reason;
            _queue.Clear();
            foreach (var (_, reached) in _waiting) reached.TrySetException(Failure());
            _waiting.Clear();
            _progress.TrySetResult();
            _work.TrySetResult();
        }

        _changed();
    }

    private async Task PumpAsync()
    {
        while (true)
        {
            while (TrySend())
            {
                // As much as the window takes.
            }

            Task? more;
            lock (_gate)
            {
                if (_behind is not null && _sent.Count == 0) return;
                if (_work.Task.IsCompleted) _work = New();
                more = _queue.Count > 0 || _behind is not null ? null : _work.Task;
            }

            if (!_sent.TryPeek(out var first))
            {
                if (more is not null) await more.ConfigureAwait(false);
                continue;
            }

            await (more is null ? Task.WhenAny(first.Ended) : Task.WhenAny(first.Ended, more)).ConfigureAwait(false);
            while (_sent.TryPeek(out first) && first.Ended.IsCompleted) Take(first.Entry, first.Ended);
        }
    }

    // Not with the gate held: clients must not wait for a socket.
    private bool TrySend()
    {
        lock (_gate)
        {
            if (_queue.Count == 0 || _sent.Count == WindowRequests || (_window > 0 && _window + _queue.Peek().Data.Length > WindowBytes)) return false;
            _sending = _queue.Dequeue();
            _window += _sending.Data.Length;
        }

        Task ended;
        try
        {
            ended = _sending.IsFlush ? _inner.FlushAsync().AsTask() : _inner.WriteAsync(_sending.Offset, _sending.Data).AsTask();
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException)
        {
            ended = Task.FromException(failure);
        }

        lock (_gate)
        {
            _sent.Enqueue((_sending, ended));
            _sending = default;
        }

        return true;
    }

    private void Take(Entry entry, Task ended)
    {
        if (!ended.IsCompletedSuccessfully) FallBehind((ended.Exception?.InnerException ?? new IOException("it was closed")).Message);
        lock (_gate)
        {
            _sent.Dequeue();
            _window -= entry.Data.Length;
            if (!ended.IsCompletedSuccessfully) return;
            if (entry.IsFlush)
            {
                _durable = entry.End;
                foreach (var (_, reached) in _waiting.Where(waits => waits.Bytes <= _durable)) reached.TrySetResult();
                _waiting.RemoveAll(waits => waits.Bytes <= _durable);
            }
            else
            {
                _applied = entry.End;
                _ring.Give(entry.Taken);
                // What was carried out but is not durable counts against the bound: it must not fill it.
                if (_behind is null && _accepted - _durable > _limit / 4) QueueFlush();
            }

            _progress.TrySetResult();
            _progress = New();
        }
    }
}
