using System.Threading.Channels;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;
using Evenkeel.Services.Alerting;

namespace Evenkeel.Agent.Host.Alerts;

/// <summary>
/// What one receiver has yet to be told, in order: a message that fails is tried again with a growing pause, for an hour. At
/// most <see cref="Most"/> wait; then the oldest is given up.
/// </summary>
internal sealed class ReceiverQueue : IAsyncDisposable
{
    public const int Most = 1000;
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1), LongestPause = TimeSpan.FromMinutes(1), GiveUpAfter = TimeSpan.FromHours(1);

    private readonly AlertReceiverSpec _receiver;
    private readonly IDelivery _delivery;
    private readonly TimeProvider _time;
    private readonly Action<string> _log;
    private readonly Channel<Notice> _waiting;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _work;
    private volatile ReceiverState _state = new(null, "");
    private int _underWay;

    private sealed record ReceiverState(DateTimeOffset? LastDone, string Problem);

    public ReceiverQueue(AlertReceiverSpec receiver, IDelivery delivery, TimeProvider time, Action<string> log)
    {
        (_receiver, _delivery, _time, _log) = (receiver, delivery, time, log);
        _waiting = Channel.CreateBounded(new BoundedChannelOptions(Most) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true },
            (Notice lost) => log($"alert receiver {receiver.Name}: more than {Most} messages wait, the oldest is given up: {lost.Body}"));
        _work = Task.Run(DeliverAllAsync);
    }

    public AlertReceiverSpec Receiver => _receiver;
    public string Problem => _state.Problem;

    public ReceiverReport Report => new(_receiver.Name, Host ?? string.Join(' ', _receiver.Command ?? []), _receiver.From,
        _waiting.Reader.Count + Volatile.Read(ref _underWay), _state.LastDone, _state.Problem);

    // Without its path: with many receivers that is the secret.
    private string? Host => _receiver.Webhook?.GetComponents(UriComponents.SchemeAndServer, UriFormat.UriEscaped);

    public void Add(Notice notice) => _waiting.Writer.TryWrite(notice);

    /// <summary>One attempt, beside what waits.</summary>
    public Task<DeliveryResult> TryOnceAsync(Notice notice, CancellationToken cancellation) => AttemptAsync(notice, cancellation);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        (_delivery as IDisposable)?.Dispose();
        _stop.Dispose();
    }

    private async Task DeliverAllAsync()
    {
        await foreach (var notice in _waiting.Reader.ReadAllAsync(_stop.Token).ConfigureAwait(false))
        {
            Interlocked.Increment(ref _underWay);
            await DeliverAsync(notice).ConfigureAwait(false);
            Interlocked.Decrement(ref _underWay);
        }
    }

    private async Task DeliverAsync(Notice notice)
    {
        var since = _time.GetTimestamp();
        for (var pause = FirstPause; ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            var result = await AttemptAsync(notice, _stop.Token).ConfigureAwait(false);
            if (result.Done) return;
            if (!result.MayWorkLater || _time.GetElapsedTime(since) > GiveUpAfter)
            {
                _log($"alert receiver {_receiver.Name}: a message is given up: {result.Reason}: {notice.Body}");
                return;
            }

            await Task.Delay(result.NotBefore is { } wish && wish > pause && wish < GiveUpAfter ? wish : pause, _time, _stop.Token).ConfigureAwait(false);
        }
    }

    private async Task<DeliveryResult> AttemptAsync(Notice notice, CancellationToken cancellation)
    {
        var result = await _delivery.SendAsync(notice, cancellation).ConfigureAwait(false);
        var before = _state;
        _state = result.Done ? new ReceiverState(_time.GetUtcNow(), "") : before with { Problem = result.Reason };
        if (before.Problem != _state.Problem)
        {
            _log(result.Done ? $"alert receiver {_receiver.Name} can be reached again" : $"alert receiver {_receiver.Name}: {result.Reason}");
        }

        return result;
    }
}
