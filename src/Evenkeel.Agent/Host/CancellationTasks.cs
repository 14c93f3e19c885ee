namespace Evenkeel.Agent.Host;

public static class CancellationTasks
{
    /// <summary>A task that ends when the token is cancelled.</summary>
    public static Task AsTask(this CancellationToken token)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        token.Register(() => ended.TrySetResult());
        return ended.Task;
    }
}
