namespace Evenkeel.Raid.Nbd;

/// <summary>How much of one client is worked on at a time: requests, and bytes that they hold. One caller enters, any may leave.</summary>
internal sealed class NbdRoom(int maximumRequests, long maximumBytes) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _changed = new(0);
    private int _requests;
    private long _bytes;
    private bool _waiting;

    /// <summary>Waits for room; a request that is larger than all of it goes alone.</summary>
    public void Enter(long bytes, CancellationToken stop)
    {
        while (!TryEnter(bytes)) _changed.Wait(stop);
    }

    public bool TryEnter(long bytes)
    {
        lock (_gate)
        {
            _waiting = _requests >= maximumRequests || _requests > 0 && _bytes + bytes > maximumBytes;
            if (_waiting) return false;
            _requests++;
            _bytes += bytes;
            return true;
        }
    }

    public void Leave(int requests, long bytes)
    {
        lock (_gate)
        {
            _requests -= requests;
            _bytes -= bytes;
            if (!_waiting) return;
            _waiting = false;
        }

        _changed.Release();
    }

    /// <summary>Returns when nobody is in.</summary>
    public void Empty()
    {
        while (true)
        {
            lock (_gate)
            {
                if (_requests == 0) return;
                _waiting = true;
            }

            _changed.Wait();
        }
    }

    public void Dispose() => _changed.Dispose();
}
