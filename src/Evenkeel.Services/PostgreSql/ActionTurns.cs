using Evenkeel.Core.Loop.Ports;
using Npgsql;

namespace Evenkeel.Services.PostgreSql;

/// <summary>One action at a time, each with a time limit; what fails as servers and disks do becomes its reason.</summary>
internal sealed class ActionTurns : IAsyncDisposable
{
    private readonly SemaphoreSlim _turn = new(1);
    private readonly CancellationTokenSource _closing = new();

    /// <summary>Cancelled when the agent stops.</summary>
    public CancellationToken Closing => _closing.Token;

    /// <summary>What is under way gives up; it may still look at the token, so nothing is disposed of.</summary>
    public async ValueTask DisposeAsync() => await _closing.CancelAsync().ConfigureAwait(false);

    public async Task<ActionResult> RunAsync(Func<CancellationToken, Task<ActionResult>> act, TimeSpan limit, CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation).ConfigureAwait(false);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation, _closing.Token);
        deadline.CancelAfter(limit);
        try
        {
            return await act(deadline.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return ActionResult.Failure(deadline.IsCancellationRequested ? $"it took longer than {limit.TotalSeconds:0} s" : "another order came first");
        }
        catch (Exception failure) when (failure is NpgsqlException or TimeoutException or IOException or UnauthorizedAccessException)
        {
            return ActionResult.Failure(failure.Message);
        }
        finally
        {
            _turn.Release();
        }
    }
}
