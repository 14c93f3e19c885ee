namespace Evenkeel.Raid.Array;

/// <summary>Starts one call on each of several members at once, waits for all, and hands back the failures instead of throwing the first.</summary>
internal static class FanOut
{
    public static async Task<List<(T Item, IOException Error)>> RunAsync<T>(IReadOnlyList<T> items, Func<T, ValueTask> call)
    {
        var pending = new Task[items.Count];
        var failures = new List<(T, IOException)>();
        for (var i = 0; i < items.Count; i++)
        {
            try
            {
                pending[i] = call(items[i]).AsTask();
            }
            catch (IOException e)
            {
                pending[i] = Task.FromException(e);
            }
        }

        for (var i = 0; i < items.Count; i++)
        {
            try
            {
                await pending[i].ConfigureAwait(false);
            }
            catch (IOException e)
            {
                failures.Add((items[i], e));
            }
        }

        return failures;
    }
}
