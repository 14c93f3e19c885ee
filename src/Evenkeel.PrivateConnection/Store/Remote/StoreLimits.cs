namespace Evenkeel.PrivateConnection.Store.Remote;

/// <summary>Every limit of the served store's protocol.</summary>
internal static class StoreLimits
{
    public const int LargestMessage = 16 << 20;
    /// <summary>Connections that the server holds at once; further ones wait in the listener's queue.</summary>
    public const int Connections = 256;
    /// <summary>Calls of one connection that are under way at once; further ones wait in TCP's window.</summary>
    public const int CallsPerConnection = 64;
    public static readonly TimeSpan Dial = TimeSpan.FromSeconds(1);
    /// <summary>What was sent and stays unacknowledged for this long ends the connection (TCP_USER_TIMEOUT).</summary>
    public static readonly TimeSpan Unacknowledged = TimeSpan.FromSeconds(1);
    /// <summary>A watch that has nothing to tell says so this often.</summary>
    public static readonly TimeSpan WatchBeat = TimeSpan.FromMilliseconds(500);
    /// <summary>A watch from which nothing came for this long is lost.</summary>
    public static readonly TimeSpan WatchSilence = TimeSpan.FromSeconds(2);
}
