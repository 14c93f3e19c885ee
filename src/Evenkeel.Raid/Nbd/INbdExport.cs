namespace Evenkeel.Raid.Nbd;

/// <summary>What a server offers under a name. Calls may overlap; offsets and lengths are whole sectors of 512 bytes within <see cref="Length"/>.</summary>
public interface INbdExport
{
    /// <summary>The name clients ask for; the empty name is the default export.</summary>
    string Name { get; }

    /// <summary>For people, in listings.</summary>
    string Description { get; }

    /// <summary>Size in bytes.</summary>
    long Length { get; }

    /// <summary>Whether writes are refused.</summary>
    bool IsReadOnly { get; }

    /// <summary>
    /// Whether one client's flush covers writes that any other client had acknowledged before, so that a client may use several
    /// connections at once.
    /// </summary>
    bool FlushCoversAllConnections { get; }

    /// <summary>Whether <see cref="TrimAsync"/> does something.</summary>
    bool CanTrim { get; }

    /// <summary>Fills the buffer.</summary>
    ValueTask ReadAsync(long offset, Memory<byte> buffer);

    /// <summary>Writes the buffer, which stays unchanged until the call returns.</summary>
    ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer);

    /// <summary>Makes completed writes durable.</summary>
    ValueTask FlushAsync();

    /// <summary>The content of a range no longer matters.</summary>
    ValueTask TrimAsync(long offset, long length);
}
