namespace Evenkeel.Services.Process;

/// <summary>Pauses between restarts: 100 ms, doubled up to 10 s; forgiven after a minute of running.</summary>
internal sealed class Backoff
{
    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Stable = TimeSpan.FromMinutes(1);
    private TimeSpan _next = First;

    public TimeSpan Next(TimeSpan ranFor)
    {
        var pause = ranFor >= Stable ? First : _next;
        _next = pause * 2 < Longest ? pause * 2 : Longest;
        return pause;
    }
}
