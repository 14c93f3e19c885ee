using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;

namespace Evenkeel.Raid.Array;

/// <summary>
/// The rows or regions of one large request, a few under way at once, so that several members work at the same time. Used again and
/// again, so that a request allocates nothing.
/// </summary>
internal sealed class Pieces : IDisposable
{
    private const int AtOnce = 8;
    private static readonly ConcurrentQueue<Pieces> Idle = [];
    private readonly ValueTask[] _pending = new ValueTask[AtOnce];
    private int _count;

    public static Pieces Rent() => Idle.TryDequeue(out var pieces) ? pieces : new Pieces();

    /// <summary>Counts a piece that was started; returns when there is room for another.</summary>
    public ValueTask AddAsync(ValueTask piece)
    {
        _pending[_count++] = piece;
        return _count < AtOnce ? default : AllAsync();
    }

    /// <summary>Returns when all have ended; throws what the first that failed threw.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask AllAsync()
    {
        ExceptionDispatchInfo? failure = null;
        for (var i = 0; i < _count; i++)
        {
            try
            {
                await _pending[i].ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
                failure ??= ExceptionDispatchInfo.Capture(e);
            }
        }

        _count = 0;
        failure?.Throw();
    }

    public void Dispose()
    {
        System.Array.Clear(_pending);
        _count = 0;
        Idle.Enqueue(this);
    }
}
