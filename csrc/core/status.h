/* The errors of the C core. Every function that can fail returns one of these. */
#ifndef QTF_STATUS_H
#define QTF_STATUS_H

typedef enum {
    QTF_OK = 0,
    QTF_NO_MEMORY,    /* an allocation failed */
    QTF_BAD_ARGUMENT, /* a shape, size or option that the function's declaration forbids */
    QTF_BAD_DATA,     /* an input text or file breaks its format */
    QTF_NOT_FINITE,   /* NaN or infinity where only finite numbers are defined */
    QTF_UNSUPPORTED,  /* well-formed, but a kind this version does not know */
    QTF_ABORTED,      /* the poll hook of the thread pool asked to stop (Ctrl-C) */
} qtf_status;

/* A static English phrase for a status; never NULL. */
const char *qtf_status_text(qtf_status status);

#endif
