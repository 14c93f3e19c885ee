namespace Evenkeel.PublicConnection.Balancer.Tcp.Linux;

/// <summary>A kernel pipe: where bytes wait between two sockets without ever coming to us.</summary>
internal sealed class Pipe
{
    public const int Bytes = 256 * 1024;

    private Pipe(int read, int write) => (ReadEnd, WriteEnd) = (read, write);

    public int ReadEnd { get; }
    public int WriteEnd { get; }

    /// <summary>Null when the process has no descriptors left.</summary>
    public static Pipe? New()
    {
        var (read, write) = Sys.NewPipe(Bytes);
        return read < 0 ? null : new Pipe(read, write);
    }

    public void Close()
    {
        Sys.Close(ReadEnd);
        Sys.Close(WriteEnd);
    }
}
