using System.Collections.Concurrent;
using System.Runtime.CompilerServices;

namespace Evenkeel.Raid.Array;

/// <summary>
/// The same kind of call on several members at once: all are started, all are waited for, failures are kept instead of the first being
/// thrown. Used again and again, so that a request allocates nothing.
/// </summary>
internal sealed class Fan : IDisposable
{
    private static readonly ConcurrentQueue<Fan> Idle = [];
    private readonly List<Target> _targets = [];
    private readonly List<(Target Target, IOException Error)> _failures = [];
    private ValueTask[] _pending = new ValueTask[8];

    public enum Call
    {
        Read,
        Write,
        Zero,
    }

    /// <param name="Member">Whom.</param>
    /// <param name="At">Sector of its data.</param>
    /// <param name="Sectors">How many.</param>
    /// <param name="Bytes">From where or to where; nothing for zeros.</param>
    /// <param name="Index">The caller's own number for it.</param>
    public readonly record struct Target(ArrayMember Member, long At, long Sectors, Memory<byte> Bytes, int Index);

    public List<(Target Target, IOException Error)> Failures => _failures;

    public int Count => _targets.Count;

    public static Fan Rent() => Idle.TryDequeue(out var fan) ? fan : new Fan();

    public void Add(ArrayMember member, long at, Memory<byte> bytes, int index = 0) => _targets.Add(new Target(member, at, bytes.Length / 512, bytes, index));

    public void AddZeros(ArrayMember member, long at, long sectors) => _targets.Add(new Target(member, at, sectors, default, 0));

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask RunAsync(Call call)
    {
        if (_pending.Length < _targets.Count) _pending = new ValueTask[_targets.Count * 2];
        for (var i = 0; i < _targets.Count; i++)
        {
            try
            {
                Keep(i, Start(call, _targets[i]));
            }
            catch (IOException e)
            {
                _pending[i] = default;
                _failures.Add((_targets[i], e));
            }
        }

        for (var i = 0; i < _targets.Count; i++)
        {
            try
            {
                await _pending[i].ConfigureAwait(false);
            }
            catch (IOException e)
            {
                _failures.Add((_targets[i], e));
            }

            _pending[i] = default;
        }
    }

    /// <summary>Ejects every member whose write failed; returns once that is durable.</summary>
    public ValueTask EjectFailedAsync(ArrayMetadata metadata) => _failures.Count == 0 ? default : EjectAsync(metadata);

    public void Dispose()
    {
        _targets.Clear();
        _failures.Clear();
        Idle.Enqueue(this);
    }

    private void Keep(int i, ValueTask pending) => _pending[i] = pending;

    private async ValueTask EjectAsync(ArrayMetadata metadata)
    {
        foreach (var (target, error) in _failures) await metadata.FailAsync(target.Member, $"write failed: {error.Message}").ConfigureAwait(false);
    }

    private static ValueTask Start(Call call, Target target) => call switch
    {
        Call.Read => target.Member.ReadAsync(target.At, target.Bytes),
        Call.Write => target.Member.WriteAsync(target.At, target.Bytes),
        _ => target.Member.ZeroAsync(target.At, target.Sectors),
    };
}
