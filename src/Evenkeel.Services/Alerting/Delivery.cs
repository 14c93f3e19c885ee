namespace Evenkeel.Services.Alerting;

/// <summary>A message to a receiver of alerts.</summary>
/// <param name="Id">The same at each attempt: a receiver that has it already may drop it.</param>
/// <param name="Body">JSON, as in <c>docs/operations/alerts.md</c>.</param>
/// <param name="Variables">The same in short, for commands: name and text.</param>
public sealed record Notice(string Id, DateTimeOffset At, string Body, IReadOnlyDictionary<string, string> Variables);

/// <param name="Done">The receiver has it.</param>
/// <param name="MayWorkLater">Not done, but another attempt could succeed.</param>
/// <param name="Reason">Why not, in words.</param>
/// <param name="NotBefore">When the receiver wants to be asked again, if it said so.</param>
public sealed record DeliveryResult(bool Done, bool MayWorkLater, string Reason, TimeSpan? NotBefore = null)
{
    public static readonly DeliveryResult Success = new(true, false, "");
}

/// <summary>One way to a receiver. Expected failures are results.</summary>
public interface IDelivery
{
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    Task<DeliveryResult> SendAsync(Notice notice, CancellationToken cancellation);
}
